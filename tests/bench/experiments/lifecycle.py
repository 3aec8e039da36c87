# SPDX-License-Identifier: MIT
"""7, 9, 10: start, stop, the kernel's own accounting, size."""
import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import time

import daemon as daemons
import peers
from daemon import daemon
from figures import Figure
from stand import BenchError, end

DEADLINE = 20.0
# A load makes an event of each default stream all the time.
STREAMS = ("connection", "packet_drop")


def _has_events(connection):
    try:
        for stream in STREAMS:
            connection.request("GET", f"/api/events?type={stream}&limit=1")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or b'"count":1' not in body.replace(b" ", b""):
                return False
        return True
    except (OSError, http.client.HTTPException):
        connection.close()
        return False


def _start_and_stop(stand):
    """(ms to the first events, ms to stop) of a server."""
    connection = http.client.HTTPConnection("127.0.0.1", daemons.PORT, timeout=DEADLINE)
    begin = time.monotonic()
    # Without what other children get before exec: it would make the start longer.
    process = subprocess.Popen(daemons.command(stand), stdin=subprocess.DEVNULL,
                               start_new_session=True)
    try:
        while not _has_events(connection):
            if process.poll() is not None or time.monotonic() - begin > DEADLINE:
                raise BenchError("the server shows no event after its start")
            time.sleep(0.0005)
        started = time.monotonic() - begin
        connection.close()
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE)
        return started * 1e3, (time.monotonic() - begin) * 1e3
    finally:
        end(process)


def _peer_start(stand):
    """ms from exec to bpftrace's first line."""
    times = []
    for _ in range(stand.pick(5, 1)):
        begin = time.monotonic()
        with contextlib.suppress(peers.Absent), peers.running(stand, "bpftrace"):
            times.append((time.monotonic() - begin) * 1e3)
    return times


def _starts(stand):
    starts, stops = [], []
    with stand.background("connect", rate=1000, seconds=100), \
            stand.background("udp-closed", rate=1000, seconds=100):
        for _ in range(stand.pick(15, 4)):
            started, stopped = _start_and_stop(stand)
            starts.append(started)
            stops.append(stopped)
    stand.figures["start.first_event"] = Figure(starts, {"bpftrace": _peer_start(stand)})
    stand.figures["start.stop"] = Figure(stops)


def _accounting(stand):
    with daemon(stand) as server:
        stand.load("connect", count=1000)
        counted = [program["run_count"] or 0 for program in server.programs().values()]
        stand.figures["stats.unasked"] = Figure([sum(counted)])
    with daemon(stand, "--program-stats") as server:
        stand.load("connect", seconds=stand.pick(2, 0.5), rate=100_000)
        stand.load("udp-closed", seconds=stand.pick(2, 0.5), rate=50_000)
        for name, program in server.programs().items():
            if program["ns_per_run"]:
                stand.figures[f"stats.{name}"] = Figure([program["ns_per_run"]],
                                                        detail={"runs": program["run_count"]})


def _size(stand):
    strip = shutil.which("strip")
    if not strip:
        stand.absent["size.server"] = "no strip here"
        return
    copy = stand.folder / "stripped"
    subprocess.run([strip, "-o", str(copy), stand.server], check=True)
    stand.figures["size.server"] = Figure([os.path.getsize(copy) / 1e6])


def run(stand):
    _starts(stand)
    _accounting(stand)
    _size(stand)
