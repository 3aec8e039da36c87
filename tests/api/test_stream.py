# SPDX-License-Identifier: MIT
"""/api/events/stream: every event that passes comes once, or its reader is told how many did not.

Storms have names or pids of their own, and prime counts.
"""
import os
import socket
import time

import pytest

from harness import tools
from harness.background import storm as background_storm
from harness.follow import following
from harness.processes import child_of, settled_ledger, status

STREAM = "/api/events/stream"


def take(frames, count):
    """The next `count` events; what was lost meanwhile is a failure."""
    events = []
    while len(events) < count:
        frame = next(frames)
        assert frame.event == "message", frame
        event = frame.json()
        assert event["id"] == frame.id
        events.append(event)
    return events


def resident(server):
    return int(status(child_of(server))["VmRSS"].split()[0]) * 1024


def stream_metrics(server):
    """{name without its prefix: value} of what the server says of its streams."""
    lines = server.api.request("GET", "/metrics").text.splitlines()
    return {line.split()[0].removeprefix("ebpf_server_api_"): float(line.split()[1])
            for line in lines if line.startswith("ebpf_server_api_stream")}


# ---- events ----

def test_events_are_those_of_the_api(shared_server, trigger):
    with shared_server.api.stream(STREAM, command="stream-same", type="connection") as frames:
        made = trigger("tcp4", "127.0.0.1:1", command="stream-same", count=53)
        events = take(frames, 53)
    assert events == shared_server.events("connection", 53, pid=made.pid)


def test_filters(shared_server, trigger):
    queries = [{"command": "stream-f*", "destination_port": "2..3"},
               {"command": "stream-f*", "type": "packet_drop"},
               {"command": "stream-f*", "destination_ip": "127.0.0.0/30", "type": "connection"},
               {"command": "stream-f*", "destination_port": "!2", "type": "connection"},
               {"command": "nobody"}, {"command": "stream-f*", "drop_reason": "NO_SOCKET"}]
    with following(shared_server.api, queries) as follow:
        trigger("tcp4", "127.0.0.1:2", command="stream-f", count=7)
        trigger("tcp4", "127.0.0.3:3", command="stream-f", count=11)
        trigger("udp4", "127.0.0.9:4", command="stream-f", count=1, send=1)
        totals = [shared_server.api("/api/events", **query)["total_count"] for query in queries]
        follow.wait_for(totals)
    # A refused connect is a packet that is dropped too, and the sum is not told here.
    assert totals[2:5] == [18, 12, 0] and min(totals[0], totals[1], totals[5]) > 0


def test_integers_as_strings(shared_server, trigger):
    with shared_server.api.stream(STREAM, command="stream-int", int64="string") as frames:
        trigger("tcp4", "127.0.0.1:1", command="stream-int")
        [event] = take(frames, 1)
    assert isinstance(event["timestamp"], str) and isinstance(event["pid"], int)


def test_a_program_that_is_switched_on_later_is_followed(start_server, trigger):
    server = start_server("--disable", "packet_drop")
    with server.api.stream(STREAM, command="stream-later", drop_reason="*") as frames:
        trigger("udp4", "127.0.0.1:3", command="stream-later", send=1)
        assert server.api.post("/api/programs/packet_drop/enable", {}).status == 200
        trigger("udp4", "127.0.0.1:3", command="stream-later", send=1)
        [event] = take(frames, 1)
    assert event["type"] == "packet_drop"


def test_heads_and_refusals(shared_server):
    head = shared_server.api.request("HEAD", STREAM)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Type"] == "text/event-stream"
    assert head.headers["X-Accel-Buffering"] == "no"
    assert "no-store" in head.headers["Cache-Control"]
    for last in ("0", "x" * 300, "6b011389-000042e6089b7a9-0000000002x", "%00"):
        refused = shared_server.api.request("GET", STREAM, headers={"Last-Event-ID": last})
        assert refused.status == 400 and "Last-Event-ID" in refused.json()["message"]
    refused = shared_server.api.request("GET", STREAM, params={"limit": 5})
    assert refused.status == 400 and "limit" in refused.json()["message"]


def test_streams_are_limited(start_server, wait_for):
    server = start_server("--max-streams", "3")
    with following(server.api, [{}, {}, {"pid": 1}]):
        refused = server.api.request("GET", STREAM)
        assert refused.status == 503
        assert "--max-streams" in refused.json()["message"]
        assert refused.headers["Retry-After"]
        assert server.api("/health")["status"] == "healthy"
    # Who is gone is noticed, and makes room.
    wait_for(lambda: stream_metrics(server)["streams"] == 0, "the streams to be closed")
    with following(server.api, [{}, {}, {}]):
        pass


# ---- resuming ----

def test_resuming_in_a_storm(shared_server):
    """Cut off again and again at any point: no gap, nothing twice, of two threads that overtake
    each other."""
    query = {"type": "connection", "command": "stream-resume"}
    last = shared_server.api("/api/events", limit=1)["events"][0]["id"]
    numbers, cuts = [], 0
    with background_storm(count=20011, threads=2, rate=5000, command="stream-resume") as storm:
        total = 2 * 20011
        while len(numbers) < total:
            with shared_server.api.stream(STREAM, {"Last-Event-ID": last}, **query) as frames:
                cuts += 1
                for event in take(frames, min(1 + 577 * cuts % 2003, total - len(numbers))):
                    numbers.append(event["id"])
                last = numbers[-1]
        assert storm.finish()["made"] == total
    assert len(set(numbers)) == total
    assert shared_server.api("/api/events", limit=1, **query)["total_count"] == total
    assert cuts > 20


def test_both_streams_are_resumed(shared_server, trigger):
    """Rings are read one after another: ids of two types do not come in the order of time."""
    with shared_server.api.stream(STREAM, command="stream-two") as frames:
        for _ in range(7):
            trigger("udp4", "127.0.0.1:5", command="stream-two", count=31, send=1)
        every = shared_server.api("/api/events", command="stream-two", limit=10000)["events"]
        ids = [event["id"] for event in take(frames, len(every))]
    assert sorted(ids) == sorted(event["id"] for event in every)
    for cut in range(0, len(ids) - 1, 13):
        with shared_server.api.stream(STREAM, {"Last-Event-ID": ids[cut]},
                                      command="stream-two") as frames:
            assert [event["id"] for event in take(frames, len(ids) - cut - 1)] == ids[cut + 1:]


def test_what_has_expired_is_told(start_server, storm):
    server = start_server("--programs", "connection", "--memory", "8MiB",
                          "--set", "connection.only_command=stream-old")
    storm(count=11, command="stream-old")
    last = server.events("connection", 11)[-1]["id"]
    storm(count=700_001, command="stream-old")
    counts = settled_ledger(server, expected=lambda c: c["stored"] + c["lost"] == 700_012)
    assert counts["expired"] > 11
    # Of what is held only the newest pass, since it takes a debug build long to write all.
    newest = server.api("/api/events", limit=1009)["events"]
    query = {"after": last, "timestamp": f"{newest[-1]['timestamp']}.."}
    total = server.api("/api/events", limit=1, timestamp=query["timestamp"])["total_count"]
    with following(server.api, [query]) as follow:
        [client] = follow.wait_for([total])
    assert client["unfiltered"] == counts["expired"] - 11 + counts["lost"]
    assert client["unknown"] == client["missed"] == 0


# ---- slow and many ----

def test_a_slow_reader_is_told_exactly(start_server, storm):
    server = start_server("--programs", "connection")
    with following(server.api, [{"command": "stream-slow"}, {"command": "stream-none"}]) as follow:
        follow.pause()
        made = storm(count=100_003, command="stream-slow")["made"]
        counts = settled_ledger(server, expected=lambda c: c["stored"] >= made)
        assert counts["lost"] == 0
        follow.resume()
        slow, none = follow.wait_for([made, 0])
        assert slow["missed"] > 0 and slow["unfiltered"] == 0, slow
        # Afterwards it is as good as any.
        storm(count=101, command="stream-slow")
        slow = follow.wait_for([made + 101, 0])[0]
        print(slow, none)
    assert stream_metrics(server)["stream_missed_events_total"] == slow["missed"]


def test_readers_of_one_question(start_server, storm):
    """None keeps another waiting: ten of them miss nothing of what one would not."""
    server = start_server("--programs", "connection")
    with following(server.api, [{"command": "stream-ten"}] * 10) as follow:
        made = storm(count=6007, rate=2000, command="stream-ten")["made"]
        counts = follow.wait_for([made] * 10)
        assert sum(count["missed"] for count in counts) == 0
        assert stream_metrics(server)["stream_channels"] == 1
        assert stream_metrics(server)["stream_encoded_events_total"] == made


@pytest.fixture
def release(monkeypatch):
    """A sanitiser keeps what was freed for a while: memory is measured on the release build."""
    if "EBPF_SERVER_BINARY" not in os.environ:
        path = tools.ROOT / "bin" / "ebpf-server"
        assert path.exists(), f"{path} is not built: make build"
        monkeypatch.setenv("EBPF_SERVER_BINARY", str(path))


def test_two_hundred_clients(release, start_server):
    """At 20,000 events a second, of which they want none to all, the half of them by a question
    that nobody else asks: each gets everything or is told; the rings are read as if nobody
    looked."""
    server = start_server("--programs", "connection")
    names = [f"stream-{i}" for i in range(10)]
    queries = []
    for i in range(200):
        wanted = names[:i % 11] or ["stream-nobody"]
        queries.append({"command": ",".join(wanted)} |
                       ({"tid": f"!{4_000_000_000 + i}"} if i % 2 else {}))
    with following(server.api, queries) as follow:
        before, lags = resident(server), []
        storms = [background_storm(count=4001, rate=2000, command=name) for name in names]
        try:
            running = [storm.__enter__() for storm in storms]
            while any(storm.is_running() for storm in running):
                lines = server.api.request("GET", "/metrics").text.splitlines()
                lags += [float(line.split()[1]) for line in lines
                         if line.startswith("ebpf_server_drain_lag_seconds ")]
            assert sum(storm.finish()["made"] for storm in running) == 40010
        finally:
            for storm in storms:
                storm.__exit__(None, None, None)
        counts = settled_ledger(server, expected=lambda c: c["stored"] >= 40010)
        assert counts["lost"] == 0
        clients = follow.wait_for([4001 * (i % 11) for i in range(200)], deadline=120)
        after = resident(server)
    missed = sum(client["missed"] for client in clients)
    given = sum(client["events"] for client in clients)
    assert sum(client["unfiltered"] + client["unknown"] for client in clients) == 0
    assert all(client["open"] for client in clients)
    lags.sort()
    print(f"given {given}, missed {missed}; drain lag median {lags[len(lags) // 2]:.3f} s, "
          f"most {lags[-1]:.3f} s; resident {before >> 20} → {after >> 20} MiB")
    assert lags[len(lags) // 2] < 0.25
    assert after - before < 64 << 20


# ---- coming and going ----

def test_stop_with_open_streams(start_server, storm):
    """One that reads, one that does not and has its pipes full, one that said nothing yet."""
    server = start_server("--programs", "connection")
    silent = socket.create_connection((server.api.host, server.api.port))
    with following(server.api, [{}]) as stuck, following(server.api, [{}]) as reader, silent:
        stuck.pause()
        storm(count=50_021, command="stream-stop")
        reader.counts()
        begin = time.monotonic()
        server.stop()
        assert time.monotonic() - begin < 5
        assert not any(client["open"] for client in reader.counts())


def test_a_restarted_server_is_resumed(start_server, storm, wait_for):
    """The store is gone with the server; an id of before is understood, and what is there since is
    given."""
    import os
    import signal
    from harness.processes import wait_for_restart
    server = start_server("--programs", "connection",
                          "--set", "connection.only_command=stream-again")
    storm(count=13, command="stream-again")
    last = server.events("connection", 13)[-1]["id"]
    dead = child_of(server)
    os.kill(dead, signal.SIGKILL)
    wait_for_restart(server, dead)
    storm(count=17, command="stream-again")
    with server.api.stream(STREAM, {"Last-Event-ID": last}) as frames:
        frame = next(frames)
        # What the dead one had and had not given away, nobody can know.
        assert frame.event == "lost" and frame.json()["missed"] is None
        assert len(take(frames, 17)) == 17


@pytest.mark.parametrize("how", ["close", "reset"])
def test_clients_that_vanish_are_noticed(shared_server, wait_for, how):
    client = socket.create_connection((shared_server.api.host, shared_server.api.port))
    client.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert b"retry: 1000" in client.recv(4096) + client.recv(4096)
    assert stream_metrics(shared_server)["streams"] == 1
    if how == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    wait_for(lambda: stream_metrics(shared_server)["streams"] == 0, "the stream to be closed")
