# SPDX-License-Identifier: MIT
"""connect(2) that stays: a thread of `stall` in it, for as long as the test likes."""
import contextlib
import json
import os
import socket
import subprocess

from . import tools
from .wait import wait_for


class Stall:
    """A process of which one thread, `tid`, is inside connect(2) by the time this returns.

    `address` is the struct sockaddr in hexadecimal; for `action` see tests/tools/stall.c.
    """

    def __init__(self, action, address, namespace=None, timeout_ms=0):
        command = [tools.tool("stall"), action, address, str(timeout_ms)]
        if namespace is not None:
            command = namespace.command(*command)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.uid = os.getuid()
        first = json.loads(self.process.stdout.readline())
        self.pid, self.tid, self._number = first["pid"], first["tid"], first["connect"]

    def _is_inside(self):
        with open(f"/proc/{self.pid}/task/{self.tid}/syscall", encoding="ascii") as file:
            return file.read().split()[0] == str(self._number)

    def wait_until_inside(self):
        wait_for(self._is_inside, "the thread to be blocked in connect(2)")
        return self

    def act(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def result(self):
        """The call as user space saw it, once it has returned."""
        line = self.process.stdout.readline()
        assert line, "the process ended inside connect(2)"
        return tools.Call(tid=self.tid, fd=-1, **json.loads(line))

    def wait(self):
        """Waits for the end of the process; returns its status as subprocess does."""
        return self.process.wait(tools.TIMEOUT)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class FullListener:
    """An abstract Unix listener whose queue is full: the next connect(2) blocks until accept()."""

    def __init__(self, name):
        self.path = b"\0" + name
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(0)
        self.filler = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.filler.connect(self.path)

    def make_room(self):
        self.listener.accept()[0].close()

    def close(self):
        self.filler.close()
        self.listener.close()


@contextlib.contextmanager
def full_listener(name):
    listener = FullListener(name)
    try:
        yield listener
    finally:
        listener.close()
