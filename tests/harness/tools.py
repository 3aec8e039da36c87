# SPDX-License-Identifier: MIT
"""The trigger programs of tests/tools: they make calls and say exactly which."""
import dataclasses
import json
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build" / "test" / "tools"
TIMEOUT = 60
EXIT_UNAVAILABLE = 3


@dataclasses.dataclass
class Call:
    """One connect(2) as user space saw it; times are CLOCK_BOOTTIME."""
    tid: int
    fd: int
    return_code: int
    begin_ns: int
    end_ns: int


@dataclasses.dataclass
class Made:
    """All that one run of `trigger` did."""
    pid: int
    uid: int
    gid: int
    calls: list

    @property
    def call(self):
        """The only call."""
        assert len(self.calls) == 1
        return self.calls[0]


def tool(name):
    path = TOOLS / name
    assert path.exists(), f"{path} is not built: make test-tools"
    return str(path)


def arguments_of(options):
    """{"count": 3, "bad_pointer": True} → ["--count", "3", "--bad-pointer"]."""
    arguments = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            arguments.append(flag)
        elif value is not None and value is not False:
            arguments += [flag, value if isinstance(value, bytes) else str(value)]
    return arguments


class Trigger:
    """A running `trigger`. With wait=True its pid is known before the calls: go() begins them."""

    def __init__(self, kind, address, namespace=None, **options):
        command = [tool("trigger"), *arguments_of(options), kind, address]
        if namespace is not None:
            command = namespace.command(*command)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.pid = self.process.pid
        if options.get("wait"):
            self.pid = json.loads(self.process.stdout.readline())["pid"]

    def go(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def made(self):
        """What was made, as soon as it was; with stay=True the process lives on until finish()."""
        line = self.process.stdout.readline()
        return self._parse(line) if line else self.finish()

    def finish(self):
        """Lets the process end (begins the calls first when it still waits)."""
        try:
            out, err = self.process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        if self.process.returncode == EXIT_UNAVAILABLE:
            pytest.skip(err.decode().strip())
        assert self.process.returncode == 0, err.decode(errors="replace")
        return self._parse(out) if out else None

    def kill(self):
        self.process.kill()
        self.process.communicate()

    @staticmethod
    def _parse(text):
        value = json.loads(text)
        return Made(value["pid"], value["uid"], value["gid"],
                    [Call(**call) for call in value["calls"]])


def trigger(kind, address, namespace=None, **options):
    """Makes the calls and returns what was Made. Options are those of `trigger --help`, with
    underscores: count=3, threads=2, command="name", uid=65534, bad_pointer=True…

    A socket that this kernel does not have skips the test and says so.
    """
    return Trigger(kind, address, namespace, **options).finish()


def storm(namespace=None, **options):
    """Runs `storm` to its end: {"pid", "made", "failed", "nanoseconds", "threads"}."""
    command = [tool("storm"), *arguments_of(options)]
    if namespace is not None:
        command = namespace.command(*command)
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=TIMEOUT).stdout
    return json.loads(out)
