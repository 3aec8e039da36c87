# SPDX-License-Identifier: MIT
"""The server under measurement, and what it says of itself."""
import contextlib
import http.client
import json

import stand as stands
from stand import BenchError, wait_for

# The network namespace is ours: every port is free.
PORT = 8080
ADDRESS = f"127.0.0.1:{PORT}"


def is_http_thread(name):
    """libmicrohttpd names its threads so."""
    return name.startswith("MHD")


class Daemon:
    def __init__(self, process):
        self.process = process
        self._connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)

    def request(self, method, path):
        """(status, body), over a kept connection where there is one."""
        for last in (False, True):
            try:
                self._connection.request(method, path)
                answer = self._connection.getresponse()
                return answer.status, answer.read()
            except (http.client.HTTPException, OSError):
                self._connection.close()
                if last:
                    raise
        return None

    def api(self, path, method="GET"):
        status, body = self.request(method, path)
        if status != 200:
            raise BenchError(f"{method} {path}: {status} {body[:200]!r}")
        return json.loads(body)

    def is_ready(self):
        if self.process.poll() is not None:
            raise BenchError(f"the server ended: {self.process.errors.read_text()[-500:]}")
        try:
            return self.request("GET", "/readiness")[0] == 200
        except OSError:
            return False

    @property
    def pids(self):
        """Loader and server."""
        return [self.process.pid, *stands.children(self.process.pid)]

    def programs(self):
        """Those that run: {name: what /api/programs says}."""
        return {item["name"]: item for item in self.api("/api/programs")["programs"]
                if item["status"] == "running"}

    def switch(self, names, on):
        for name in names:
            self.api(f"/api/programs/{name}/{'enable' if on else 'disable'}", "POST")

    def ledger(self, program="connection"):
        total = {}
        for stream in self.api(f"/api/programs/{program}")["streams"]:
            for name, count in stream["ledger"].items():
                total[name] = total.get(name, 0) + count
        return total

    def settled_ledger(self, program="connection"):
        """The ledger once nothing waits in the ring."""
        def settled():
            counts = self.ledger(program)
            return counts["bytes_waiting"] == 0 and counts
        return wait_for(settled, f"the ring of {program} to be empty")

    def held(self):
        return self.ledger()["held"]

    def cpu_ns(self, threads=lambda name: True):
        return stands.cpu_ns(self.pids, threads)

    def user_ns(self, threads=lambda name: True):
        return stands.user_ns(self.pids, threads)


def command(stand, *options):
    """What the server keeps is on the disk that the project lies on, and gone with the run."""
    data = () if "--data-dir" in options else ("--data-dir", stand.data_folder())
    return [stand.server, "--addr", ADDRESS, "--metrics-addr", "off", "--log-level", "warn",
            *data, *options]


@contextlib.contextmanager
def daemon(stand, *options):
    """A server that is ready, ended on the way out."""
    stand.look_around()
    with stand.child(command(stand, *options), "server") as process:
        running = Daemon(process)
        wait_for(running.is_ready, "the server to be ready")
        yield running
