# SPDX-License-Identifier: MIT
"""GET /api/events on the real server, asked about real events."""
import csv
import dataclasses
import datetime
import gzip
import io
import json
import os
import socket
import statistics
import time

import pytest

from harness import tools
from harness.background import storm as background_storm
from harness.kernel import parse_rfc3339_ns
from harness.processes import child_of, freeze, settled_ledger, thaw
from harness.wait import wait_for

PATH = "/api/events"
MANY = 211
VISIBLE_WITHIN = 0.050


@dataclasses.dataclass
class Scene:
    """Events that are there before the tests begin: their pids, and the events, oldest first."""
    many: list  # MANY connects of one process to 127.0.0.1:1
    tcp6: dict
    unix: dict
    udp: dict
    dropped: dict  # of the UDP packet that the one above sent


@pytest.fixture(scope="module")
def scene(shared_server):
    many = tools.trigger("tcp4", "127.0.0.1:1", count=MANY, command="events-many")
    tcp6 = tools.trigger("tcp6", "[::1]:2", command="events-six")
    unix = tools.trigger("unix", "/nonexistent/ebpf, *test?", command="events-unix")
    udp = tools.trigger("udp4", "127.0.0.1:3", command="events-udp", send=33, uid=65534)

    def one(pid, type="connection"):
        return shared_server.events(type, 1, pid=pid)[0]

    return Scene(shared_server.events("connection", MANY, pid=many.pid), one(tcp6.pid),
                 one(unix.pid), one(udp.pid), one(udp.pid, "packet_drop"))


@pytest.fixture
def ask(shared_server, scene):
    return lambda **params: shared_server.api(PATH, **params)


def ids(answer):
    return [event["id"] for event in (answer["events"] if isinstance(answer, dict) else answer)]


# ---- time ----

@pytest.mark.parametrize("form", ["Z", "+00:00", "%2B00:00", "%2b01:00", "+01:00", "-05:30", "z"])
def test_absolute_times_are_inclusive(shared_server, scene, form):
    """Offsets, also with the '+' as it stands: a query string's '+' is a space."""
    pid = scene.many[0]["pid"]
    offset = form.replace("%2B", "+").replace("%2b", "+")
    hours = {"Z": 0, "z": 0}.get(offset)
    if hours is None:
        sign = -1 if offset[0] == "-" else 1
        hours = sign * (int(offset[1:3]) + int(offset[4:6]) / 60)

    def written(event):
        seconds, _, digits = event["time"].rstrip("Z").partition(".")
        local = (datetime.datetime.fromisoformat(seconds)
                 + datetime.timedelta(hours=hours)).isoformat()
        return f"{local}.{digits}{form}"

    first, last = scene.many[70], scene.many[140]
    for query, expected in ((f"since={written(first)}", scene.many[70:]),
                            (f"until={written(last)}", scene.many[:141]),
                            (f"since={written(first)}&until={written(last)}",
                             scene.many[70:141]),
                            (f"since={written(first)}&until={written(first)}",
                             scene.many[70:71])):
        response = shared_server.api.request(
            "GET", f"{PATH}?type=connection&pid={pid}&order=asc&limit=1000&{query}")
        assert response.status == 200, response.text
        answer = response.json()
        assert ids(answer) == ids(expected), query
        understood = answer["query"]["since"] or answer["query"]["until"]
        assert understood.endswith("Z")


def test_times_need_no_fraction(ask, scene):
    second = scene.many[0]["time"][:19] + "Z"
    params = {"type": "connection", "pid": scene.many[0]["pid"]}
    assert ask(**params, since=second)["total_count"] == MANY
    assert ask(**params, until=second)["total_count"] < MANY


def test_relative_times(ask, scene):
    pid = scene.many[0]["pid"]
    for since in ("-10m", "-600s", "-1h30m", "-1d", "-600000ms", "-3650d"):
        assert ask(pid=pid, type="connection", since=since)["total_count"] == MANY, since
    assert ask(pid=pid, since="now")["total_count"] == 0
    assert ask(pid=pid, until="now", type="connection")["total_count"] == MANY
    assert ask(pid=pid, until="-10m")["total_count"] == 0
    assert ask(pid=pid, since="-10m", until="-9m")["total_count"] == 0


def test_since_after_until_is_refused(shared_server):
    response = shared_server.api.request("GET", PATH + "?since=-1m&until=-2m")
    assert response.status == 400
    assert "since" in response.json()["message"] and "until" in response.json()["message"]


# ---- limit, order, cursors ----

def test_newest_first_and_limits(ask, scene):
    pid = scene.many[0]["pid"]
    newest_first = ids(scene.many)[::-1]
    for limit in (1, 2, 100, MANY - 1, MANY, MANY + 1, 10000):
        answer = ask(type="connection", pid=pid, limit=limit)
        assert ids(answer) == newest_first[:limit]
        assert answer["count"] == len(answer["events"]) == min(limit, MANY)
        assert answer["total_count"] == MANY
        assert answer["query"]["limit"] == limit
        assert (answer["next"] is None) == (limit >= MANY)
    assert len(ask(type="connection", pid=pid)["events"]) == 100
    assert ids(ask(type="connection", pid=pid, order="asc", limit=7)) == ids(scene.many)[:7]
    assert ids(ask(type="connection", pid=pid, order="desc", limit=7)) == newest_first[:7]


@pytest.mark.parametrize("order, cursor", [("asc", "after"), ("desc", "before")])
@pytest.mark.parametrize("limit", [1, 37, 100, MANY, 1000])
def test_cursors_walk_everything_once(ask, scene, order, cursor, limit):
    pid = scene.many[0]["pid"]
    seen, place = [], {}
    while True:
        answer = ask(type="connection", pid=pid, order=order, limit=limit, **place)
        assert answer["total_count"] == MANY, "a cursor does not change what there is in all"
        seen += ids(answer)
        assert len(seen) <= MANY
        if answer["next"] is None:
            break
        assert answer["count"] == limit
        place = {cursor: answer["next"]}
    assert seen == (ids(scene.many) if order == "asc" else ids(scene.many)[::-1])


def test_a_walk_over_all_types_is_in_order(ask, scene):
    events, place = [], {}
    window = {"since": scene.many[0]["time"], "until": scene.dropped["time"]}
    while True:
        answer = ask(order="asc", limit=100, **window, **place)
        events += answer["events"]
        if answer["next"] is None:
            break
        place = {"after": answer["next"]}
    assert len(events) == answer["total_count"]
    assert len(set(ids(events))) == len(events)
    assert ids(events) == sorted(ids(events))
    assert {event["type"] for event in events} == {"connection", "packet_drop"}
    assert {*ids(scene.many), scene.unix["id"], scene.dropped["id"]} <= set(ids(events))


def test_after_and_before(ask, scene):
    pid, marks = scene.many[0]["pid"], ids(scene.many)
    common = {"type": "connection", "pid": pid, "limit": 1000, "order": "asc"}
    assert ids(ask(**common, after=marks[10])) == marks[11:]
    assert ids(ask(**common, before=marks[10])) == marks[:10]
    assert ids(ask(**common, after=marks[10], before=marks[20])) == marks[11:20]
    assert ids(ask(**common, after=marks[20], before=marks[10])) == []
    assert ids(ask(**common, after=marks[-1])) == []
    # With the newest first it is the same places.
    assert ids(ask(type="connection", pid=pid, limit=3, before=marks[10])) == marks[7:10][::-1]
    assert ids(ask(type="connection", pid=pid, limit=3, after=marks[10])) == marks[-3:][::-1]
    # An event of another type is a place, too.
    assert ids(ask(**common, after=scene.dropped["id"])) == []
    assert ids(ask(**common, before=scene.dropped["id"])) == marks
    # So is one of another boot.
    assert ids(ask(**common, after="00000001" + marks[0][8:])) == marks
    assert ids(ask(**common, before="00000001" + marks[0][8:])) == []
    assert ids(ask(**common, before="ffffffff" + marks[0][8:])) == marks


# ---- forms ----

def test_ndjson(shared_server, ask, scene):
    params = {"type": "connection", "pid": scene.many[0]["pid"], "limit": 50}
    plain = ask(**params)
    response = shared_server.api.request("GET", PATH, params=params | {"format": "ndjson"})
    assert response.status == 200
    assert response.headers.get_content_type() == "application/x-ndjson"
    assert response.body.endswith(b"\n")
    assert [json.loads(line) for line in response.body.splitlines()] == plain["events"]
    assert response.headers["X-Total-Count"] == str(MANY)
    assert response.headers["X-Complete"] == "true"
    assert response.headers["X-Lost"] == "0"
    assert response.headers["X-Next"] == plain["next"]
    empty = shared_server.api.request("GET", PATH, params={"format": "ndjson", "pid": 4294967295})
    assert (empty.status, empty.body, empty.headers["X-Next"]) == (200, b"", None)


@pytest.mark.parametrize("type", ["connection", "packet_drop", None])
def test_csv(shared_server, ask, scene, type):
    pid = ",".join(str(pid) for pid in {scene.udp["pid"], scene.unix["pid"], scene.tcp6["pid"],
                                        scene.many[0]["pid"]})
    params = {"type": type, "pid": pid, "limit": 1000}
    plain = ask(**params)["events"]
    response = shared_server.api.request("GET", PATH, params=params | {"format": "csv"})
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.body.endswith(b"\r\n")
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert len(rows) == len(plain) and rows
    for row, event in zip(rows, plain):
        assert None not in row and None not in row.values(), "a row of another width"
        assert set(event) <= set(row)
        for name, text in row.items():
            value = event.get(name)
            expected = "" if value is None else str(value)
            if isinstance(value, bool):
                expected = expected.lower()
            # What a spreadsheet would take for a formula has a ' before it.
            assert text == expected or text == "'" + expected, name


def test_integers_as_strings(ask, scene):
    params = {"type": "connection", "pid": scene.tcp6["pid"]}
    [number], [text] = ask(**params)["events"], ask(**params, int64="string")["events"]
    for name, value in number.items():
        if name in ("timestamp", "cgroup_id", "duration_ns"):
            assert text[name] == str(value), name
        else:
            assert text[name] == value, name


def test_the_answer_says_how_it_understood(ask, scene):
    answer = ask(type="connection", pid=f"!{scene.unix['pid']}", command="events-*", order="asc",
                 since="-10m", limit=5)
    query = answer["query"]
    assert query["type"] == ["connection"]
    assert query["filters"] == {"pid": f"!{scene.unix['pid']}", "command": "events-*"}
    assert (query["order"], query["limit"], query["format"]) == ("asc", 5, "json")
    now = parse_rfc3339_ns(answer["query_time"])
    assert abs(now - time.time_ns()) < 60e9
    assert abs(parse_rfc3339_ns(query["since"]) + 600e9 - now) < 5e9
    assert query["until"] is None


def test_an_empty_result(ask):
    answer = ask(pid=4294967295)
    assert (answer["events"], answer["count"], answer["total_count"], answer["next"]) == \
        ([], 0, 0, None)
    assert (answer["complete"], answer["lost"]) == (True, 0)


# ---- filters ----

def escaped(value):
    """A value as a filter's expression that means just this text."""
    if isinstance(value, bool):
        return str(value).lower()
    return "".join("\\" + c if c in "\\!,*?." else c for c in str(value)) \
        if isinstance(value, str) else str(value)


def fields_of(server, type):
    [stream] = [stream for stream in server.api("/api/schema")["streams"]
                if stream["name"] == type]
    return stream["fields"]


@pytest.mark.parametrize("type, chosen", [
    ("connection", ["many", "tcp6", "unix", "udp"]),
    ("packet_drop", ["dropped"]),
])
def test_every_field_is_a_filter(shared_server, ask, scene, type, chosen):
    """The value of a real event finds that event; its negation does not. The event is pinned down
    by its time, so that the limit leaves nothing out."""
    untried = {field["name"] for field in fields_of(shared_server, type)}
    for name in chosen:
        event = getattr(scene, name)
        event = event[0] if isinstance(event, list) else event
        for field in fields_of(shared_server, type):
            name = field["name"]
            value = event[name]
            pin = {"type": type, "timestamp": event["timestamp"]}
            if name == "timestamp":
                pin = {"type": type, "tid": event["tid"]}
            assert event["id"] in ids(ask(**pin, limit=10000))
            if value is None:
                # Null matches nothing; not matching is what a negation asks for.
                anything = {"integer": "0..", "ip": "::/0"}.get(field["type"], "*")
                assert event["id"] not in ids(ask(**pin, **{name: anything}, limit=10000)), name
                assert event["id"] in ids(ask(**pin, **{name: "!" + anything}, limit=10000)), name
                continue
            expression = escaped(value)
            found = ask(**pin, **{name: expression}, limit=10000)
            assert event["id"] in ids(found), f"{name}={expression}"
            assert all(other[name] == value for other in found["events"]), name
            missed = ask(**pin, **{name: "!" + expression}, limit=10000)
            assert event["id"] not in ids(missed), f"{name}=!{expression}"
            untried.discard(name)
    assert not untried, f"no event here has a value for {untried}"


def test_a_filter_on_a_field_of_one_type_leaves_the_other_out(ask, scene):
    pid = scene.udp["pid"]
    assert {event["type"] for event in ask(pid=pid)["events"]} == {"connection", "packet_drop"}
    assert ids(ask(pid=pid, return_code="0")) == [scene.udp["id"]]
    assert ids(ask(pid=pid, drop_reason="*")) == [scene.dropped["id"]]
    assert ids(ask(pid=pid, drop_reason="*", return_code=0)) == []
    assert len(ids(ask(pid=pid, destination_port=3))) == 2


@pytest.mark.parametrize("name, matching, others", [
    ("destination_port", ["2", "1..2", "2..", "..2", "1,2", "2..2", "0x2", "!1", "!3..", "7,1..2"],
     ["1", "3..", "..1", "1,3", "!2", "!1..3", "0"]),
    ("destination_ip", ["::1", "::/0", "::1/128", "0:0:0:0:0:0:0:1", "127.0.0.1,::1",
                        "!127.0.0.0/8", "::..::2"],
     ["::2", "127.0.0.1", "127.0.0.0/8", "!::1", "fd00::/8", "0.0.0.0/0", "::2..::3"]),
    ("destination", ["[::1]:2", "::1", "*:2", "::/64"], ["[::1]:3", "127.0.0.1:2", "*:3", "::2",
                                                         "![::1]:2"]),
    ("command", ["events-six", "events-*", "*six", "e?ents-s??", "*", "a,events-six", "!other",
                 "!a,b"],
     ["events-si", "six", "events-", "?", "EVENTS-SIX", "!events-*", "a,b"]),
    ("protocol", ["TCP", "tcp", "TRANSPORT_TCP", "6", "T*", "UDP,TCP", "!UDP", "0..6"],
     ["UDP", "17", "U*", "!TCP", "7.."]),
    ("socket_type", ["STREAM", "SOCK_STREAM", "sock_stream", "1"], ["DGRAM", "2", "!STREAM"]),
    ("address_family", ["AF_INET6", "inet6", "10", "!AF_INET"], ["AF_INET", "2", "!10"]),
    ("error", ["ECONNREFUSED", "econnrefused", "ECONN*", "111", "!EPERM"],
     ["EPERM", "!ECONNREFUSED", "1"]),
    ("return_code", ["-111", "..-1", "-200..0", "!0"], ["111", "0", "0..", "!-111"]),
    ("duration_ns", ["0..", "1ns..", "..60s", "!60s..", "0..1m"], ["60s..", "..0", "!0..60s"]),
    ("uid", ["0", "0..0", "!1"], ["1", "1..", "!0"]),
    ("type", ["connection", "packet_drop,connection"], ["packet_drop"]),
])
def test_expressions(ask, scene, name, matching, others):
    """Of the one IPv6 connect, refused at [::1]:2."""
    event = scene.tcp6
    for expression in matching:
        assert event["id"] in ids(ask(**{"pid": event["pid"], name: expression})), expression
    for expression in others:
        assert event["id"] not in ids(ask(**{"pid": event["pid"], name: expression})), expression


def test_expressions_on_a_unix_socket(ask, scene):
    pid, path = scene.unix["pid"], scene.unix["destination"]
    assert path == scene.unix["destination_path"] == "/nonexistent/ebpf, *test?"
    for expression in ("/nonexistent/*", "/nonexistent/ebpf\\, \\*test\\?", "*test?", "!/tmp/*",
                       "a,/none*"):
        for name in ("destination", "destination_path"):
            assert ids(ask(pid=pid, **{name: expression})) == [scene.unix["id"]], expression
    for expression in ("/nonexistent", "*TEST*", "!/nonexistent/*"):
        assert ids(ask(pid=pid, destination_path=expression)) == [], expression
    assert scene.unix["protocol"] == "UNIX"
    assert ids(ask(pid=pid, destination_ip="0.0.0.0/0,::/0")) == []


def test_expressions_on_a_dropped_packet(ask, scene):
    drop = scene.dropped
    assert drop["drop_reason"] == "NO_SOCKET"
    for params in ({"drop_reason": "no_socket"}, {"drop_reason": "SKB_DROP_REASON_NO_SOCKET"},
                   {"drop_reason_code": drop["drop_reason_code"]}, {"drop_reason": "NO_*"},
                   {"location": drop["location"].partition("+")[0]},
                   {"source_ip": "127.0.0.0/8"}, {"packet_size_bytes": "61"},
                   {"packet_size_bytes": "..1KiB"}, {"interface": "lo,eth*"},
                   {"network_namespace": os.stat("/proc/self/ns/net").st_ino}):
        assert ids(ask(type="packet_drop", pid=scene.udp["pid"], **params)) == [drop["id"]], params


def test_several_filters_all_hold(ask, scene):
    common = {"type": "connection", "pid": scene.tcp6["pid"], "destination_port": 2}
    assert ask(**common, protocol="TCP")["total_count"] == 1
    assert ask(**common, protocol="UDP")["total_count"] == 0


# ---- how whole an answer is ----

def test_complete_and_lost(start_server):
    server = start_server("--programs", "connection", "--set",
                          "connection.only_command=events-loss", "--ring-size", "64KiB")
    child = child_of(server)
    before = tools.storm(count=101, command="events-loss")
    answer = server.api(PATH, type="connection", limit=1)
    assert (answer["total_count"], answer["complete"], answer["lost"]) == (101, True, 0)
    [last] = answer["events"]

    with background_storm(count=10_007, command="events-loss") as running:
        freeze(child)
        try:
            running.finish()
        finally:
            thaw(child)
    counts = settled_ledger(server, expected=lambda c: c["stored"] + c["lost"] == 10_108)
    assert counts["lost"] > 0
    answer = server.api(PATH, type="connection", limit=1)
    assert (answer["complete"], answer["lost"]) == (False, counts["lost"])
    assert answer["total_count"] == counts["stored"]
    response = server.api.request("GET", PATH, params={"format": "ndjson", "limit": 1})
    assert (response.headers["X-Complete"], response.headers["X-Lost"]) == \
        ("false", str(counts["lost"]))
    # It is said of the time of the loss, not of other times.
    earlier = server.api(PATH, type="connection", until=last["time"], pid=before["pid"])
    assert (earlier["total_count"], earlier["complete"], earlier["lost"]) == (101, True, 0)
    later = server.api(PATH, type="connection", since=server.api(PATH)["query_time"])
    assert (later["complete"], later["lost"]) == (True, 0)


def test_what_had_to_make_room_is_said(start_server):
    server = start_server("--programs", "connection", "--memory", "8MiB", "--no-history",
                          "--set", "connection.only_command=events-room")
    tools.storm(count=1_000_003, command="events-room")
    counts = settled_ledger(server, expected=lambda c: c["stored"] + c["lost"] == 1_000_003)
    assert counts["expired"] > 0
    answer = server.api(PATH, type="connection", limit=1)
    assert answer["total_count"] == counts["held"]
    assert answer["complete"] is False
    assert answer["lost"] == counts["lost"]
    newest = answer["events"][0]
    assert server.api(PATH, type="connection", since=newest["time"])["total_count"] == 1


# ---- how soon ----

def test_an_event_is_visible_at_once(shared_server):
    """The question right after connect(2) returned finds it: answers begin with what the rings
    hold."""
    took = []
    for port in range(1, 42):
        with socket.socket() as connecting:
            assert connecting.connect_ex(("127.0.0.1", port))
            done = time.monotonic()
        answer = shared_server.api(PATH, type="connection", pid=os.getpid(), destination_port=port,
                                   command="!events-*", limit=1)
        took.append(time.monotonic() - done)
        assert answer["total_count"] == 1, f"port {port}: not there {took[-1] * 1000:.1f} ms later"
    print(f"event to answer: median {statistics.median(took) * 1000:.1f} ms, "
          f"worst {max(took) * 1000:.1f} ms")
    assert statistics.median(took) < VISIBLE_WITHIN


def test_an_event_is_visible_within_50_ms_without_a_question(start_server):
    """On standard output, where nobody's question hurries the reader."""
    server = start_server("--programs", "connection", "--print=json", "--set",
                          f"connection.only_pid={os.getpid()}")
    took = []
    for port in range(1, 22):
        with socket.socket() as connecting:
            connecting.connect_ex(("127.0.0.1", port))
            done = time.clock_gettime_ns(time.CLOCK_BOOTTIME)

        def printed():
            return any(json.loads(line)["destination_port"] == port
                       for line in list(server.output))

        wait_for(printed, f"the event of port {port}")
        took.append((time.clock_gettime_ns(time.CLOCK_BOOTTIME) - done) / 1e9)
    print(f"event to output: median {statistics.median(took) * 1000:.1f} ms, "
          f"worst {max(took) * 1000:.1f} ms")
    assert statistics.median(took) < VISIBLE_WITHIN


# ---- HTTP ----

def test_head(shared_server, scene):
    for path in (PATH + "?limit=10&type=connection", "/health", "/api/schema", "/openapi.json"):
        get = shared_server.api.request("GET", path)
        head = shared_server.api.request("HEAD", path)
        assert (get.status, head.status) == (200, 200)
        assert head.body == b""
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
        assert int(head.headers["Content-Length"]) > 0
    assert shared_server.api.request("HEAD", PATH + "?limit=0").status == 400
    assert shared_server.api.request("HEAD", "/nowhere").status == 404


def test_options(shared_server):
    for path, allowed in ((PATH, "GET, HEAD, OPTIONS"),
                          ("/api/connection-summary", "GET, HEAD, POST, OPTIONS"),
                          ("/api/programs/connection/enable", "POST, OPTIONS")):
        response = shared_server.api.request("OPTIONS", path)
        assert (response.status, response.body) == (204, b"")
        assert response.headers["Allow"] == allowed
    assert shared_server.api.request("OPTIONS", "*").status == 204
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        response = shared_server.api.request(method, PATH)
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
        assert response.json()["error"] == "Method Not Allowed"


@pytest.mark.parametrize("accept, compressed", [
    ("gzip", True), ("gzip, deflate, br", True), ("*", True), ("x-gzip", True),
    ("gzip;q=0", False), ("identity", False), ("br", False), ("gzip;q=0.5, identity;q=0.1", True),
])
def test_compression(shared_server, scene, accept, compressed):
    params = {"type": "connection", "pid": scene.many[0]["pid"], "limit": 100, "format": "ndjson"}
    plain = shared_server.api.request("GET", PATH, params=params)
    packed = shared_server.api.request("GET", PATH, params=params,
                                       headers={"Accept-Encoding": accept})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers.get("Content-Encoding") == ("gzip" if compressed else None)
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    body = gzip.decompress(packed.body) if compressed else packed.body
    assert body == plain.body
    if compressed:
        assert len(packed.body) < len(body) / 4


def test_small_answers_are_not_compressed(shared_server):
    response = shared_server.api.request("GET", "/liveness", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers and response.body == b"OK"
