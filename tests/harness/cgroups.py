# SPDX-License-Identifier: MIT
"""A control group of the unified hierarchy to run a trigger in."""
import contextlib
import os


def mount_point():
    """Where the unified hierarchy is mounted, or None."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            if fields[fields.index("-") + 1] == "cgroup2":
                return fields[4]
    return None


class Group:
    """Stands where a trigger takes a namespace: command() runs something inside the group."""

    def __init__(self, path):
        self.path = path

    @property
    def inode(self):
        return os.stat(self.path).st_ino

    def command(self, *arguments):
        return ["sh", "-c", 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"', "sh", self.path,
                *arguments]


@contextlib.contextmanager
def group(name):
    """A new group below the root; gone at the end, when what ran in it has ended."""
    path = os.path.join(mount_point(), f"ebpf-test-{os.getpid()}-{name}")
    os.mkdir(path)
    try:
        yield Group(path)
    finally:
        os.rmdir(path)
