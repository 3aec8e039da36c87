# SPDX-License-Identifier: MIT
"""2: what an event costs in user space, and what waiting for one does."""
import contextlib
import time

import peers
import stand as stands
from daemon import daemon
from figures import Figure


def an_event(stand, pids, rate, seconds, threads=1):
    """(ns of processor time of these processes for each event of a paced load, its true rate)."""
    before = stands.cpu_ns(pids)
    made = stand.load("connect", rate=rate / threads, seconds=seconds, threads=threads)
    # What is still on its way belongs to it too.
    time.sleep(0.3)
    return (stands.cpu_ns(pids) - before) / made["made"], made["made"] / made["nanoseconds"] * 1e9


def _paced(stand):
    seconds, pairs = stand.pick(4, 0.8), stand.pick(5, 2)
    ours, theirs, less, fast = [], [], [], []
    for _ in range(pairs):
        with daemon(stand, "--no-history") as server:
            an_event(stand, server.pids, 20_000, 0.2)
            ours.append(an_event(stand, server.pids, 20_000, seconds)[0])
            fast.append(an_event(stand, server.pids, 100_000, seconds)[0])
        with contextlib.suppress(peers.Absent), peers.running(stand, "bpftrace") as peer:
            cost = an_event(stand, peer.pids, 20_000, seconds)[0]
            peer.confirm()
            theirs.append(cost)
            less.append(theirs[-1] / ours[-1])
    stand.figures["cpu.20k"] = Figure(ours, {"bpftrace": theirs})
    stand.figures["cpu.100k"] = Figure(fast)
    if less:
        stand.figures["cpu.20k_less"] = Figure(less)
    else:
        stand.absent["cpu.20k_less"] = stand.skipped_peers.get("bpftrace", "no bpftrace")


def _idle(stand):
    seconds = stand.pick(5, 2)
    shares = []
    with daemon(stand) as server:
        time.sleep(1)  # what the start left to do is over
        for _ in range(stand.pick(3, 1)):
            before, begin = server.cpu_ns(), time.monotonic()
            time.sleep(seconds)
            shares.append((server.cpu_ns() - before) / (time.monotonic() - begin) / 1e7)
        stand.figures["memory.idle"] = Figure(
            [sum(map(stands.resident, server.pids)) / 2**20],
            detail={"loader": stands.resident(server.pids[0]) / 2**20,
                    "server": stands.resident(server.pids[1]) / 2**20})
    stand.figures["cpu.idle"] = Figure(shares)


def run(stand):
    _paced(stand)
    _idle(stand)
