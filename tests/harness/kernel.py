# SPDX-License-Identifier: MIT
"""What the running kernel knows: loaded programs and links, control groups, clocks."""
import calendar
import glob
import json
import os
import re
import shutil
import subprocess
import time

BPFTOOL_TRIES = 7
BPFTOOL = shutil.which("bpftool", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _bpftool(kind):
    assert BPFTOOL, "bpftool is missing: make deps-test"
    # It gives up when one of them goes, anybody's, between its number and its description.
    for _ in range(BPFTOOL_TRIES):
        shown = subprocess.run([BPFTOOL, "-j", kind, "show"], check=False, capture_output=True)
        if shown.returncode == 0:
            break
    assert shown.returncode == 0, f"bpftool {kind} show: {shown.stdout} {shown.stderr}"
    objects = json.loads(shown.stdout or b"[]")
    assert isinstance(objects, list), f"bpftool {kind} show: {objects}"
    return {(kind, item["id"]): item for item in objects}


def bpf_objects():
    """Programs and links in the kernel: {("prog" or "link", id): what bpftool says}."""
    return _bpftool("prog") | _bpftool("link")


def bpf_leftovers(before):
    """Objects that were not there `before` and that no living process holds open: others on this
    machine may load programs meanwhile."""
    new = {key: item for key, item in bpf_objects().items() if key not in before}
    held = _held_objects() if new else set()
    return [item for key, item in new.items() if key not in held]


def _held_objects():
    """("prog" or "link", id) of every descriptor in the machine; a link holds its program."""
    held = set()
    for path in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            if not os.readlink(path).startswith("anon_inode:bpf"):
                continue
            with open(path.replace("/fd/", "/fdinfo/"), encoding="utf-8") as file:
                info = dict(re.findall(r"^(prog|link)_id:\s*(\d+)$", file.read(), re.MULTILINE))
        except OSError:
            continue
        held.update((kind, int(number)) for kind, number in info.items())
    return held


def cgroup_id():
    """The id of this process's control group in the unified hierarchy, which children inherit."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        path = re.search(r"^0::(.*)$", file.read(), re.MULTILINE)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split() for line in file]
    for fields in mounts:
        if fields[fields.index("-") + 1] == "cgroup2" and path:
            return os.stat(fields[4] + path[1]).st_ino
    return 1  # the root of a hierarchy that nobody mounted


def boot_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boot_to_real_offset_ns():
    """Wall time minus boot time, read so that what comes between counts little."""
    best = None
    for _ in range(20):
        first = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        real = time.clock_gettime_ns(time.CLOCK_REALTIME)
        width = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - first
        if best is None or width < best[0]:
            best = width, real - first - width // 2
    return best[1]


def parse_rfc3339_ns(text):
    """ "2026-11-21T03:45:28.123456789Z" in ns since the epoch; UTC with nine digits only."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z", text)
    assert match, f"{text!r} is not RFC 3339 UTC with nanoseconds"
    seconds = calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S"))
    return seconds * 1_000_000_000 + int(match[2])
