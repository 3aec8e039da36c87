# SPDX-License-Identifier: MIT
"""Starts that end by themselves: most of them refused, by one line."""
import os
import re
import subprocess

from .kernel import bpf_leftovers, bpf_objects
from .server import server_binary

USAGE, FAILURE = 2, 1
DEADLINE = 20.0
# Before the text of a message that is logged.
STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z error ")


def run(*arguments, prefix=(), environment=None):
    """A start that is expected to end by itself. The level is the one that users have."""
    own = {name: value for name, value in os.environ.items()
           if not name.startswith("EBPF_SERVER_")}
    return subprocess.run([*prefix, server_binary(), *map(str, arguments)], timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=own | {"EBPF_SERVER_LOG_LEVEL": "info"} | (environment or {}))


def refusal(status, *arguments, **keywords):
    """The one line that a refused start says, without stamp or program name."""
    before = bpf_objects()
    result = run(*arguments, **keywords)
    lines = result.stderr.splitlines()
    assert len(lines) == 1, f"{len(lines)} lines instead of one:\n{result.stderr}"
    print(f"\n    {lines[0]}")
    assert result.returncode == status, lines[0]
    assert result.stdout == ""
    assert "libbpf" not in lines[0]
    assert lines[0].isprintable()
    assert not bpf_leftovers(before)
    if status == USAGE:
        assert lines[0].startswith("ebpf-server: "), lines[0]
        return lines[0].removeprefix("ebpf-server: ")
    assert STAMP.search(lines[0]), lines[0]
    return STAMP.sub("", lines[0])
