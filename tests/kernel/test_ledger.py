# SPDX-License-Identifier: MIT
"""The loss ledger is exact: every connect of a storm is stored, lost, filtered or sampled out.

`only_command` keeps others out: their connects count as filtered, so what is stored, lost or
sampled out is the storm's alone. Totals are prime.
"""
import os
import signal

import pytest

from harness.background import storm as background_storm
from harness.processes import (child_of, freeze, ledger, settled_ledger, thaw,
                               wait_for_restart)
from harness.wait import wait_for

COMMAND = "ledger-storm"
TOTAL = 1_000_003
EACH, REST = divmod(TOTAL, 2)


def make(storm, each=EACH, rest=REST, **options):
    """Two threads, as fast as they go, and what is missing to the total; returns their pids."""
    made = [storm(count=each, threads=2, command=COMMAND, **options)]
    if rest:
        made.append(storm(count=rest, command=COMMAND))
    assert sum(run["made"] for run in made) == 2 * each + rest
    return [run["pid"] for run in made]


def start(start_server, *arguments):
    return start_server("--programs", "connection", "--set",
                        f"connection.only_command={COMMAND}", *arguments)


@pytest.mark.parametrize("ring", [None, "256KiB", "64KiB"])
def test_every_connect_of_a_storm_is_counted_once(start_server, storm, ring):
    server = start(start_server, *(["--ring-size", ring] if ring else []))
    pids = make(storm)
    counts = settled_ledger(server, expected=lambda c: c["stored"] + c["lost"] == TOTAL)
    assert counts["sampled_out"] == 0
    assert counts["malformed"] == 0
    # What the store says it holds is what a query finds.
    found = server.api("/api/events", type="connection", pid=",".join(map(str, pids)), limit=1)
    assert found["total_count"] == counts["held"]
    # What is missing is said, by cause; a loss is never silent.
    assert found["lost"] == counts["lost"]
    assert found["complete"] == (counts["lost"] == 0 and counts["expired"] == 0)
    print(f"ring {ring or 'default'}: {counts}")


def test_what_passes_no_filter_is_counted(start_server, storm):
    server = start_server("--programs", "connection",
                          "--set", "connection.only_command=nobody-at-all")
    before = ledger(server)
    make(storm)
    counts = settled_ledger(server, expected=lambda c: c["filtered"] >= before["filtered"] + TOTAL)
    assert counts["stored"] == counts["lost"] == counts["sampled_out"] == 0


def test_what_is_sampled_out_is_counted(start_server, storm):
    total = 2 * 50_001 + 1
    server = start(start_server, "--set", "connection.sample=5")
    make(storm, 50_001, 1)
    counts = settled_ledger(
        server, expected=lambda c: c["stored"] + c["lost"] + c["sampled_out"] == total)
    # One in five by chance: the standard deviation of this share is 0.0013.
    assert abs(counts["sampled_out"] / total - 0.8) < 0.013, counts


@pytest.mark.parametrize("ring", [None, "64KiB"])
def test_a_server_that_stands_still_loses_and_says_so(start_server, ring):
    total = 2 * 200_003
    server = start(start_server, *(["--ring-size", ring] if ring else []))
    child = child_of(server)
    with background_storm(count=total // 2, threads=2, command=COMMAND, rate=200_000) as running:
        wait_for(lambda: ledger(server)["stored"] > 1000, "the storm to be under way")
        freeze(child)
        try:
            assert running.is_running(), "the storm was over before the server stood still"
            running.finish()
        finally:
            thaw(child)
    counts = settled_ledger(server, expected=lambda c: c["stored"] + c["lost"] == total)
    assert counts["lost"] > 0
    answer = server.api("/api/events", type="connection", limit=1)
    assert answer["lost"] == counts["lost"]
    assert answer["complete"] is False
    print(f"ring {ring or 'default'}: {counts}")


def test_a_server_that_is_killed_in_mid_storm(start_server):
    """What it had read went with it (expired); the counts and what waited in the ring did not."""
    total = 2 * 200_003
    server = start(start_server, "--no-history")
    child = child_of(server)
    with background_storm(count=total // 2, threads=2, command=COMMAND, rate=100_000) as running:
        wait_for(lambda: ledger(server)["stored"] > 20_000, "the storm to be under way")
        old = server.api("/api/events", type="connection", limit=5000)["events"]
        os.kill(child, signal.SIGKILL)
        assert running.is_running(), "the storm was over before the server was killed"
        wait_for_restart(server, child)
        running.finish()

    counts = settled_ledger(server, expected=lambda c: c["stored"] + c["lost"] == total)
    assert counts["expired"] >= len(old), counts
    assert counts["held"] > 0, counts
    assert server.api("/api/events", type="connection", limit=1)["total_count"] == counts["held"]

    # At the seam of old and new: no event twice, nor an id.
    first = server.api("/api/events", type="connection", order="asc", limit=5000)["events"]
    last = server.api("/api/events", type="connection", limit=5000)["events"]
    ids = [event["id"] for event in old + first + last]
    assert len(set(ids)) == len(ids)
    moments = [(event["tid"], event["timestamp"]) for event in old + first]
    assert len(set(moments)) == len(moments)
    assert max(event["timestamp"] for event in old) < min(event["timestamp"] for event in first)
    print(counts)


def test_what_waits_in_the_ring_outlives_the_server(start_server, storm):
    server = start(start_server)
    child = child_of(server)
    freeze(child)
    made = storm(count=10_007, command=COMMAND)
    os.kill(child, signal.SIGKILL)
    wait_for_restart(server, child)
    counts = settled_ledger(server, expected=lambda c: c["stored"] == 10_007)
    assert counts["lost"] == counts["expired"] == 0
    answer = server.api("/api/events", type="connection", pid=made["pid"], limit=1)
    assert answer["total_count"] == 10_007
    assert answer["complete"] is True
