# SPDX-License-Identifier: MIT
"""The whole way once: a server starts, a process connects, its event is in the API."""
import os

from harness.kernel import boot_to_real_offset_ns, cgroup_id, parse_rfc3339_ns

# How far apart two readings of the wall clock's offset may be: adjtime(2) moves it meanwhile.
CLOCK_TOLERANCE_NS = 5_000_000


def test_starts_healthy(api):
    health = api("/health")
    assert health["status"] == "healthy"
    assert health["service"] == "ebpf-server"
    assert health["running"] is True
    assert health["ready"] is True
    assert health["alive"] is True
    assert api.request("GET", "/readiness").body == b"Ready"
    assert api.request("GET", "/liveness").body == b"OK"


def test_connect_appears_with_its_header(server, trigger):
    made = trigger("tcp4", "127.0.0.1:1", command="smoke", uid=65534)
    call = made.call
    assert call.return_code == -111

    [event] = server.events("connection", 1, pid=made.pid)
    assert event["type"] == "connection"
    assert event["pid"] == made.pid
    assert event["tid"] == call.tid == made.pid
    assert event["uid"] == 65534
    assert event["command"] == "smoke"
    assert call.begin_ns <= event["timestamp"] <= call.end_ns
    wall = event["timestamp"] + boot_to_real_offset_ns()
    assert abs(parse_rfc3339_ns(event["time"]) - wall) < CLOCK_TOLERANCE_NS
    assert event["cgroup_id"] == cgroup_id()
    assert isinstance(event["id"], str) and event["id"]


def test_ids_are_unique_and_in_order(server, trigger):
    made = trigger("udp4", "127.0.0.1:1", count=101)
    events = server.events("connection", 101, pid=made.pid)
    ids = [event["id"] for event in events]
    assert len(set(ids)) == 101
    times = [event["timestamp"] for event in events]
    assert times == sorted(times)
    for call, event in zip(made.calls, events):
        assert call.begin_ns <= event["timestamp"] <= call.end_ns


def test_stops_cleanly_twice(start_server):
    for _ in range(2):
        server = start_server()
        children = [pid for pid in os.listdir("/proc") if pid.isdigit()
                    and _parent(pid) == server.pid]
        assert children, "no unprivileged server process beside the loader"
        server.stop()
        assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]


def _parent(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return None
