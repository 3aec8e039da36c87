# SPDX-License-Identifier: MIT
"""A million events in memory while more come in: counts are right, memory stays where it should.

On the release build: a sanitiser's memory is not the server's. The times are printed (pytest -s);
what they have to be is the benchmarks' business.
"""
import os
import statistics
import time

import pytest

from harness import tools
from harness.background import storm as background_storm
from harness.processes import child_of, ledger, peak_rss, settled_ledger
from harness.wait import wait_for

COMMAND = "million"
MEMORY_MIB = 128
BESIDES_MIB = 40
REPEATS = 15
RARE = 7
RARE_PORT = 7777
NOISE_PER_SECOND = 50_000


@pytest.fixture
def release(monkeypatch):
    if "EBPF_SERVER_BINARY" not in os.environ:
        path = tools.ROOT / "bin" / "ebpf-server"
        assert path.exists(), f"{path} is not built: make build"
        monkeypatch.setenv("EBPF_SERVER_BINARY", str(path))


def test_a_million_events(release, start_server, storm):
    server = start_server("--programs", "connection", "--memory", f"{MEMORY_MIB}MiB",
                          "--ring-size", "8MiB", "--set", f"connection.only_command={COMMAND}")
    child = child_of(server)
    early = storm(count=RARE, command=COMMAND, to=f"127.0.0.1:{RARE_PORT}")
    made = storm(count=500_009, threads=2, rate=400_000, command=COMMAND)
    counts = settled_ledger(
        server, expected=lambda c: c["stored"] + c["lost"] == made["made"] + RARE)
    assert counts["expired"] == 0
    in_memory = made["made"] - counts["lost"]
    assert in_memory > 950_000, counts

    def ask(**params):
        """Median of the time to the answer, in ms, and the last answer."""
        took = []
        for _ in range(REPEATS):
            begin = time.perf_counter()
            answer = server.api("/api/events", **params)
            took.append((time.perf_counter() - begin) * 1000)
        return statistics.median(took), answer

    with background_storm(seconds=60, rate=NOISE_PER_SECOND, command=COMMAND) as noise:
        wait_for(lambda: ledger(server)["stored"] > counts["stored"] + 1000, "more to come in")
        questions = {
            "newest hundred": ({"limit": 100}, None),
            "oldest hundred": ({"limit": 100, "order": "asc"}, None),
            "absent pid": ({"pid": 4294967294}, 0),
            "absent command": ({"command": "nobody"}, 0),
            "absent command, by a glob": ({"command": "*body"}, 0),
            "rare port": ({"destination_port": RARE_PORT}, RARE),
            "rare pid": ({"pid": early["pid"]}, RARE),
            "rare pid and port": ({"pid": early["pid"], "destination_port": RARE_PORT}, RARE),
            "one thread's": ({"tid": made["threads"][0]["tid"], "limit": 1}, None),
            "all of the million": ({"pid": made["pid"], "limit": 1}, in_memory),
        }
        answers = {}
        for name, (params, total) in questions.items():
            median, answer = ask(type="connection", **params)
            answers[name] = answer
            print(f"{name:28} {median:7.2f} ms")
            if total is not None:
                assert answer["total_count"] == total, name
            assert answer["count"] == len(answer["events"]) == \
                min(answer["total_count"], params.get("limit", 100)), name
        assert noise.is_running(), "nothing came in any more while the questions were asked"
        rss = peak_rss(child)

    # The two threads' parts are the whole.
    parts = [server.api("/api/events", type="connection", tid=thread["tid"], limit=1)["total_count"]
             for thread in made["threads"]]
    assert sum(parts) == in_memory
    assert answers["one thread's"]["total_count"] == parts[0]
    for name in ("newest hundred", "oldest hundred"):
        times = [event["timestamp"] for event in answers[name]["events"]]
        assert len(times) == 100
        assert times == sorted(times, reverse=name.startswith("newest")), name
    assert {event["pid"] for event in answers["oldest hundred"]["events"][:RARE]} == {early["pid"]}
    assert {event["pid"] for event in answers["newest hundred"]["events"]} == {noise.pid}
    assert {event["id"] for event in answers["rare pid"]["events"]} == \
        {event["id"] for event in answers["rare port"]["events"]}

    after = settled_ledger(server)
    assert server.api("/api/events", type="connection", limit=1)["total_count"] == after["held"]
    print(f"{after['stored']} stored, {after['lost']} lost, "
          f"{rss / 2 ** 20:.1f} MiB resident at most")
    assert rss < (MEMORY_MIB + BESIDES_MIB) << 20


def test_full_memory_stays_within_its_limit(release, start_server, storm):
    """Four times what fits: the oldest go, and the limit holds."""
    server = start_server("--programs", "connection", "--memory", "8MiB", "--no-history",
                          "--set", f"connection.only_command={COMMAND}")
    child = child_of(server)
    made = storm(count=2_000_003, command=COMMAND)["made"]
    counts = settled_ledger(server, expected=lambda c: c["stored"] + c["lost"] == made)
    assert counts["expired"] > counts["held"] > 0
    assert server.api("/api/events", type="connection", limit=1)["total_count"] == counts["held"]
    rss = peak_rss(child)
    print(f"{counts['held']} of {counts['stored']} held, {rss / 2 ** 20:.1f} MiB resident at most")
    assert rss < (8 + BESIDES_MIB) << 20
