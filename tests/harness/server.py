# SPDX-License-Identifier: MIT
"""The real server, started and stopped as its users do."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.parse

from . import kernel
from .client import Client
from .tools import ROOT
from .wait import wait_for

START_DEADLINE = 30.0
STOP_DEADLINE = 15.0

# What sanitisers say on standard error.
SANITISER = re.compile(rb"ERROR: (Address|Leak)Sanitizer|runtime error:|WARNING: ThreadSanitizer")
ADDRESS = re.compile(rb"(API|metrics) on (https?://\S+)")


def server_binary():
    path = os.environ.get("EBPF_SERVER_BINARY") or str(ROOT / "bin" / "ebpf-server-dev")
    assert os.path.exists(path), f"{path} is not built: make build-dev"
    return os.path.abspath(path)


class Server:
    """One running server on ports of its own.

    `api` and `metrics` are HTTP clients, `log` and `output` what it wrote on standard error and
    standard output so far, in lines of bytes.
    """

    def __init__(self, *arguments, environment=None, command_prefix=(), defaults=True,
                 tls=None, namespace=None, output=None):
        """`defaults=False` passes no address options; the prefix goes before the binary; `tls` is
        an ssl.SSLContext for what is served by TLS; in a network namespace it runs, and is asked,
        there. The data directory goes with the server, unless an argument names another. `output`
        is another standard output than the one that is read here."""
        if namespace is not None:
            command_prefix = (*namespace.command(), *command_prefix)
        self.namespace = namespace
        self.tls = tls
        self.objects_before = kernel.bpf_objects()
        self.log, self.output = [], []
        self.api = self.metrics = None
        ports = ("--addr", "127.0.0.1:0", "--metrics-addr", "127.0.0.1:0") if defaults else ()
        self.own_data = tempfile.mkdtemp(prefix="ebpf-server-test-")
        own = {name: value for name, value in os.environ.items()
               if not name.startswith("EBPF_SERVER_")}
        own["EBPF_SERVER_DATA_DIR"] = self.own_data
        self.process = subprocess.Popen(
            [*command_prefix, server_binary(), *ports, *map(str, arguments)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            stdout=subprocess.PIPE if output is None else output,
            start_new_session=True, env=own | (environment or {}))
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.output),
                                     (self.process.stderr, self.log)) if pair[0]]
        for reader in self.readers:
            reader.start()

    @property
    def pid(self):
        return self.process.pid

    @staticmethod
    def _read(pipe, lines):
        for line in pipe:
            lines.append(line.rstrip(b"\n"))

    def log_text(self):
        """The log for people: without libbpf's own lines, of which debug builds write hundreds."""
        lines = [line for line in self.log if b" debug libbpf: " not in line]
        return b"\n".join(lines).decode(errors="backslashreplace")

    def address(self, what):
        """The URL of b"API" or b"metrics" that the log tells, or None as long as it does not."""
        for line in list(self.log):
            match = ADDRESS.search(line)
            if match and match[1] == what:
                return urllib.parse.urlsplit(match[2].decode())
        assert self.process.poll() is None, f"the server ended:\n{self.log_text()}"
        return None

    def wait_until_ready(self, deadline=START_DEADLINE):
        """Returns self once every program was tried (/readiness answers 200)."""
        address = wait_for(lambda: self.address(b"API"), "the log line with the API's address",
                           deadline)
        self.api = self.client(address)
        wait_for(self.answers_ready, "/readiness", deadline)
        metrics = self.address(b"metrics")
        if metrics is not None:
            self.metrics = self.client(metrics)
        return self

    def client(self, address):
        """For the URL of one of its listeners."""
        return Client(address.hostname, address.port,
                      tls=self.tls if address.scheme == "https" else None,
                      namespace=self.namespace)

    def answers_ready(self):
        """Whether /readiness says yes now; fails when the loader has ended."""
        assert self.process.poll() is None, f"the server ended:\n{self.log_text()}"
        try:
            return self.api.request("GET", "/readiness").status == 200
        except OSError:
            return False

    def wait_for_exit(self, deadline=STOP_DEADLINE):
        """Returns the exit status once the process has ended and all its output was read."""
        status = self.process.wait(deadline)
        for reader in self.readers:
            reader.join(deadline)
        return status

    def events(self, type, count, deadline=10.0, **filters):
        """Waits until `count` events of a stream are there, and returns them, oldest first.

        More than `count` is a failure too: exact is what these tests are about.
        """
        def arrived():
            answer = self.api("/api/events", type=type, limit=10000, order="asc", **filters)
            assert answer["total_count"] <= count, f"more than {count}: {answer['events']}"
            return answer["total_count"] == count and answer["events"]
        return wait_for(arrived, f"{count} events of {type} with {filters}", deadline) or []

    def stop(self, expected_status=0):
        """Ends it by SIGTERM and asserts that it went cleanly: status, no sanitiser's report, no
        process, program or link left."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            status = self.wait_for_exit()
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"no end {STOP_DEADLINE} s after SIGTERM:\n{self.log_text()}") from None
        finally:
            self.kill()
        assert status == expected_status, f"exit status {status}:\n{self.log_text()}"
        assert not [line for line in self.log if SANITISER.search(line)], self.log_text()
        wait_for(lambda: not kernel.bpf_leftovers(self.objects_before) or self._left(),
                 "programs and links gone")

    def _left(self):
        raise AssertionError(f"left in the kernel: {kernel.bpf_leftovers(self.objects_before)}")

    def kill(self):
        """Ends what is left of the process group, at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.own_data, ignore_errors=True)
