# SPDX-License-Identifier: MIT
"""build/test/tools/calls: a process that makes exactly the reads and writes that it is told."""
import json
import subprocess

import pytest

from .tools import EXIT_UNAVAILABLE, TIMEOUT, arguments_of, tool


class Calls:
    """Started, and waiting: `pid` is the process that will make them. make() lets it, and returns
    how many it made; it lives until end()."""

    def __init__(self, *orders, prefix=(), **options):
        self.process = subprocess.Popen(
            [*prefix, tool("calls"), *arguments_of(options), *orders],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            error = self.process.communicate(timeout=TIMEOUT)[1].decode()
            if self.process.returncode == EXIT_UNAVAILABLE:
                pytest.skip(error.strip())
            raise AssertionError(error)
        self.pid = json.loads(line)["pid"]

    def make(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        assert said["failed"] == 0, said
        return said["made"]

    def end(self):
        self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == 0

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
