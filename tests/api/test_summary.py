# SPDX-License-Identifier: MIT
"""GET /api/events/summary on the real server: what it adds up is what the events say."""
import collections
import csv
import io

import pytest

from harness import tools
from harness.kernel import parse_rfc3339_ns

PATH = "/api/events/summary"
TCP4, TCP6, UNIX, UDP = 211, 31, 17, 13


@pytest.fixture(scope="module")
def scene(shared_server):
    """Connects of four processes; one name for two of them. UDP makes drops besides."""
    made = [tools.trigger("tcp4", "127.0.0.1:1", count=TCP4, command="sum-one"),
            tools.trigger("tcp6", "[::1]:2", count=TCP6, command="sum-one"),
            tools.trigger("unix", "/nonexistent/sum", count=UNIX, command="sum-two"),
            tools.trigger("udp4", "127.0.0.1:3", count=UDP, command="sum-udp", send=1)]
    for one, count in zip(made, (TCP4, TCP6, UNIX, UDP)):
        shared_server.events("connection", count, pid=one.pid)
    return made


@pytest.fixture
def ask(shared_server, scene):
    return lambda **params: shared_server.api(PATH, **params)


@pytest.fixture
def events(shared_server, scene):
    """What the event list says to the same question, up to 10,000 of them."""
    def ask(**params):
        answer = shared_server.api("/api/events", limit=10000, **params)
        assert answer["next"] is None
        return answer["events"]
    return ask


def key_of(event, names):
    return tuple(event.get(name) for name in names)


def keys(answer, names):
    return {tuple(group["key"][name] for name in names): group["count"]
            for group in answer["groups"]}


def add_up(answer):
    """Groups and the rest are the whole, in every figure."""
    parts = [*answer["groups"], answer["other"]]
    total = answer["total"]
    assert sum(part["count"] for part in parts) == total["count"]
    assert len(answer["groups"]) + answer["other"]["groups"] == total["groups"]
    for part in [*parts, total]:
        if answer["histogram"]:
            assert len(part["counts"]) == answer["histogram"]["buckets"]
            assert sum(part["counts"]) == part["count"]
        else:
            assert part["counts"] == []
    assert [sum(column) for column in zip(*(part["counts"] for part in parts))] == total["counts"]
    for name, values in total["values"].items():
        for figure in ("count", "sum"):
            assert sum(part["values"][name][figure] for part in parts) == values[figure]
    sizes = [group["count"] for group in answer["groups"]]
    assert sizes == sorted(sizes, reverse=True)
    assert answer["exact"] is True


@pytest.mark.parametrize("names", [
    ["command"], ["destination"], ["command", "destination_ip"], ["type"], ["protocol"],
    ["error", "return_code"], ["destination_port", "address_family"], ["pid", "tid"],
    ["drop_reason", "interface"], ["destination_path"], ["socket_type", "type", "uid"]])
def test_groups_are_those_of_the_events(ask, events, names):
    question = {"command": "sum-*", "until": "now"}
    answer = ask(by=",".join(names), top=1000, **question)
    add_up(answer)
    counted = collections.Counter(key_of(event, names) for event in events(**question))
    assert keys(answer, names) == counted
    assert answer["total"]["count"] >= TCP4 + TCP6 + UNIX + UDP


def test_every_field_can_be_a_key(ask, events, fields):
    question = {"command": "sum-*", "until": "now"}
    found = events(**question)
    for name in fields:
        answer = ask(by=name, top=1000, buckets=0, **question)
        counted = collections.Counter(
            tuple(value) if isinstance(value := event.get(name), list) else value
            for event in found)
        shown = {tuple(value) if isinstance(value := group["key"][name], list) else value:
                 group["count"] for group in answer["groups"]}
        if len(counted) <= 1000:
            assert shown == counted, name
        assert answer["total"]["groups"] == len(counted), name


def test_numbers(ask, events, fields):
    """Sums, extremes and percentiles of every number field."""
    question = {"command": "sum-*", "until": "now", "type": "connection"}
    found = events(**question)
    names = [name for name, field in fields.items()
             if field["schema"].get("type") in ("integer", ["integer", "null"])]
    assert {"duration_ns", "return_code", "destination_port"} <= set(names)
    for name in names:
        if not any(name in event for event in found):
            continue
        answer = ask(by="command", of=name, **question)
        add_up(answer)
        for group in answer["groups"]:
            values = sorted(event[name] for event in found
                            if event["command"] == group["key"]["command"]
                            and event[name] is not None)
            shown = group["values"][name]
            assert shown["count"] == len(values), name
            assert shown["sum"] == sum(values), name
            if not values:
                assert {shown[figure] for figure in ("min", "max", "mean", "p50")} == {None}
                continue
            assert (shown["min"], shown["max"]) == (values[0], values[-1]), name
            assert shown["mean"] == pytest.approx(sum(values) / len(values))
            for percent in (50, 90, 99):
                exact = values[-(-len(values) * percent // 100) - 1]
                assert abs(shown[f"p{percent}"] - exact) <= abs(exact) / 100, name


def test_top_and_other(ask, scene):
    for top in (1, 2, 3):
        answer = ask(by="pid", of="duration_ns", top=top, type="connection", command="sum-*")
        add_up(answer)
        assert [group["count"] for group in answer["groups"]] == [TCP4, TCP6, UNIX, UDP][:top]
        assert [group["key"]["pid"] for group in answer["groups"]] == \
            [made.pid for made in scene][:top]
        assert answer["other"]["groups"] == 4 - top
        assert answer["total"]["count"] == TCP4 + TCP6 + UNIX + UDP


@pytest.mark.parametrize("buckets", [1, 7, 60, 1000])
def test_parts_of_time(ask, events, buckets):
    """Each event is in the part that its time says."""
    found = sorted(events(type="connection", command="sum-*"), key=lambda event: event["time"])
    question = {"type": "connection", "command": "sum-*", "since": found[0]["time"],
                "until": found[-1]["time"]}
    answer = ask(buckets=buckets, by="command", **question)
    add_up(answer)
    histogram = answer["histogram"]
    assert (histogram["start"], histogram["end"]) == (question["since"], question["until"])
    assert 1 <= histogram["buckets"] <= buckets
    start, end = (parse_rfc3339_ns(histogram[name]) for name in ("start", "end"))
    assert (histogram["buckets"] - 1) * histogram["bucket_ns"] < end - start \
        <= histogram["buckets"] * histogram["bucket_ns"]
    counts = [0] * histogram["buckets"]
    for event in found:
        part = (parse_rfc3339_ns(event["time"]) - start) // histogram["bucket_ns"]
        counts[min(part, histogram["buckets"] - 1)] += 1
    assert answer["total"]["counts"] == counts


def test_an_open_window(ask, shared_server):
    oldest = shared_server.api("/api/events", order="asc", limit=1)["events"][0]["time"]
    answer = ask()
    add_up(answer)
    assert answer["histogram"]["start"] == oldest
    assert answer["groups"][0]["key"] == {}
    assert parse_rfc3339_ns(answer["histogram"]["end"]) <= \
        parse_rfc3339_ns(answer["query_time"]) + 10**6
    assert ask(since="-1h", until="now")["histogram"]["bucket_ns"] == 60 * 10**9
    assert ask(buckets=0)["histogram"] is None


def test_filters(ask):
    assert ask(by="command", destination_port="1..2", command="sum-*",
               type="connection")["total"]["count"] == TCP4 + TCP6
    assert keys(ask(by="command", destination_path="/nonexistent/*", command="sum-*"),
                ["command"]) == {("sum-two",): UNIX}
    assert ask(by="command", command="nobody-at-all")["groups"] == []


def test_csv(shared_server, ask):
    question = {"by": "command,destination", "of": "duration_ns", "type": "connection",
                "command": "sum-*"}
    response = shared_server.api.request("GET", PATH, params=question | {"format": "csv"})
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    answer = ask(**question)
    assert int(response.headers["X-Total-Count"]) == answer["total"]["count"]
    assert len(rows) == len(answer["groups"])
    for row, group in zip(rows, answer["groups"]):
        assert row["command"] == group["key"]["command"]
        assert row["destination"] == group["key"]["destination"]
        assert int(row["count"]) == group["count"]
        for name, value in group["values"]["duration_ns"].items():
            assert float(row[f"duration_ns_{name}"]) == pytest.approx(value)


@pytest.mark.parametrize("query, words", [
    ("by=nosuch", ["by", "nosuch", "destination_ip"]),
    ("of=command", ["of", "command", "number", "duration_ns"]),
    ("of=drop_reason", ["of", "drop_reason", "number", "drop_reason_code"]),
    ("by=command,", ["by", "empty"]),
    ("of=pid,pid", ["of", "twice"]),
    ("top=0", ["top", "1 to 1000"]),
    ("buckets=1001", ["buckets", "0 to 1000"]),
    ("limit=3", ["limit"]),
    ("type=connection&by=drop_reason", ["by", "drop_reason"])])
def test_refusals(shared_server, query, words):
    response = shared_server.api.request("GET", f"{PATH}?{query}")
    assert response.status == 400
    for word in words:
        assert word in response.json()["message"]


def test_the_drop_report_is_the_same_sum(ask, shared_server):
    """Reasons, of the last hour, of one process."""
    report = shared_server.api("/api/packet-drop-summary", command="sum-udp", duration=3600)
    answer = ask(type="packet_drop", by="drop_reason", command="sum-udp", top=1000)
    assert report["total_drops"] == answer["total"]["count"] >= UDP
    assert report["by_reason"] == {group["key"]["drop_reason"]: group["count"]
                                   for group in answer["groups"]}
