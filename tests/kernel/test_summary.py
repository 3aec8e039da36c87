# SPDX-License-Identifier: MIT
"""Sums under storm: they are the ledger's, to the last event, whatever was sealed meanwhile."""
import pytest

from harness.background import storm as background_storm
from harness.processes import settled_ledger
from harness.wait import wait_for

PATH = "/api/events/summary"
COMMAND = "summary-storm"
EACH = 100_003


def start(start_server, *arguments):
    return start_server("--programs", "connection", "--set",
                        f"connection.only_command={COMMAND}", *arguments)


def test_a_storm_adds_up(start_server, storm):
    server = start(start_server)
    made = storm(count=EACH, threads=2, command=COMMAND)
    counts = settled_ledger(server, expected=lambda c: c["stored"] + c["lost"] == made["made"])
    answer = server.api(PATH, by="command,pid", of="duration_ns", buckets=97)
    assert answer["lost"] == counts["lost"]
    assert answer["complete"] == (counts["lost"] == 0 and counts["expired"] == 0)
    [group] = answer["groups"]
    assert group["key"] == {"command": COMMAND, "pid": made["pid"]}
    assert group["count"] == answer["total"]["count"] == counts["held"]
    assert sum(group["counts"]) == group["count"]
    assert answer["other"]["count"] == 0
    numbers = group["values"]["duration_ns"]
    assert numbers["count"] == counts["held"]
    assert 0 < numbers["min"] <= numbers["p50"] <= numbers["p90"] <= numbers["p99"] \
        <= numbers["max"]
    # Each thread made half of them.
    threads = server.api(PATH, by="tid", top=3)
    assert len(threads["groups"]) == 2
    if not counts["lost"] and not counts["expired"]:
        assert [group["count"] for group in threads["groups"]] == [EACH, EACH]


@pytest.mark.parametrize("question", [{"by": "command"}, {"by": "command,tid", "of": "duration_ns"},
                                      {"by": "timestamp", "of": "pid"}], ids=lambda q: q["by"])
def test_every_answer_adds_up_while_events_come_in(start_server, question):
    """Blocks are sealed and evicted under it; it may take two rounds."""
    server = start(start_server, "--memory", "8MiB")
    with background_storm(count=5_000_000, command=COMMAND):
        wait_for(lambda: server.api("/api/events", limit=1)["total_count"] > 20_000,
                 "events to sum")
        for _ in range(11):
            answer = server.api(PATH, buckets=13, top=2, **question)
            parts = [*answer["groups"], answer["other"]]
            total = answer["total"]
            assert sum(part["count"] for part in parts) == total["count"] > 0
            assert [sum(column) for column in zip(*(part["counts"] for part in parts))] \
                == total["counts"]
            assert sum(total["counts"]) == total["count"]
            for name, values in total["values"].items():
                assert values["count"] == total["count"]
                assert sum(part["values"][name]["sum"] for part in parts) == values["sum"]
