# SPDX-License-Identifier: MIT
"""6 and 8: what a live client takes in memory, how late its events are, how many clients there may
be."""
import contextlib
import json
import subprocess
import time

import daemon as daemons
import stand as stands
from daemon import daemon
from figures import Figure

COMMAND = "bench-live"
# So many more clients than before make the difference that is measured.
FEW, MANY = 50, 450
CLIENTS, RATE = 10, 50_000


class Follow:
    """One client for each query, all reading (tests/tools/follow.c)."""

    def __init__(self, process):
        self.process = process
        stands.wait_for(lambda: process.stdout.readline() == "following\n", "streams to begin")

    def say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def given(self):
        return sum(client["events"] for client in self.say("")["clients"])


@contextlib.contextmanager
def following(stand, count):
    command = [str(stand.tools / "follow"), str(daemons.PORT), *[f"command={COMMAND}"] * count]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Follow(process)
    finally:
        process.kill()
        process.communicate()


def _settle(server):
    """Resident bytes of the server once they stay the same."""
    def settled():
        before = stands.resident(server.pids[1])
        time.sleep(0.3)
        return before == stands.resident(server.pids[1]) and before
    return stands.wait_for(settled, "the server's memory to settle")


def _memory(stand, server):
    """KiB of the server for each client that has had some events."""
    sizes = []
    with contextlib.ExitStack() as stack:
        for count in (FEW, MANY):
            follow = stack.enter_context(following(stand, count))
            stand.load("connect", count=1000, rate=2000, command=COMMAND)
            stands.wait_for(lambda: follow.given() == 1000 * count, "every client to have all")
            sizes.append(_settle(server))
    return (sizes[1] - sizes[0]) / MANY / 1024


def _latency(stand, rate, seconds):
    """How old events are when a client has them, in ms."""
    with following(stand, 1) as follow:
        stand.load("connect", seconds=seconds, rate=rate, command=COMMAND)
        said = follow.say("latency")["latency_ns"]
    return said["median"] / 1e6, said["p99"] / 1e6


def _clients(stand, server):
    """(events a second that each client was given, processor time of an event in ns, missed)."""
    with following(stand, CLIENTS) as follow:
        before = server.cpu_ns()
        made = stand.load("connect", seconds=stand.pick(10, 2), rate=RATE, command=COMMAND)
        def complete():
            clients = follow.say("")["clients"]
            return all(client["events"] + client["missed"] >= made["made"]
                       for client in clients) and clients
        clients = stands.wait_for(complete, "every client to have all")
        used = server.cpu_ns() - before
    given = min(client["events"] for client in clients)
    return (given / made["made"] * RATE, used / made["made"],
            sum(client["missed"] for client in clients))


def run(stand):
    with daemon(stand, "--programs", "connection", "--max-streams", "1000") as server:
        stand.figures["live.client"] = Figure(
            [_memory(stand, server) for _ in range(stand.pick(3, 1))])
        quiet = [_latency(stand, 100, stand.pick(3, 1)) for _ in range(stand.pick(5, 1))]
        busy = [_latency(stand, 20_000, stand.pick(3, 1)) for _ in range(stand.pick(5, 1))]
        stand.figures["live.latency"] = Figure(
            [median for median, _ in quiet + busy],
            detail={"quiet_ms": quiet, "at_20000_ms": busy})
        runs = [_clients(stand, server) for _ in range(stand.pick(3, 1))]
        stand.figures["live.clients"] = Figure(
            [rate for rate, _, _ in runs],
            detail={"ns_an_event": [used for _, used, _ in runs],
                    "missed": [missed for _, _, missed in runs]})
