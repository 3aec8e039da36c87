# SPDX-License-Identifier: MIT
"""What outlives processes, however they end, and what becomes of a file that was damaged.

HISTORY_KILLS and HISTORY_DAMAGES say how often (make test-soak asks for 200 and 500). On the
release build: a sanitiser's start is not the server's.
"""
import contextlib
import csv
import ipaddress
import mmap
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

from harness import tools
from harness.background import storm as background_storm
from harness.processes import child_of, is_alive, wait_for_restart
from harness.server import Server
from harness.wait import wait_for

KILLS = int(os.environ.get("HISTORY_KILLS", "7"))
DAMAGES = int(os.environ.get("HISTORY_DAMAGES", "7"))
RATE = 5000
FLUSH_NS = 1_000_000_000
BACK_WITHIN = 2.0
PAGE = 10000


@pytest.fixture(autouse=True)
def release(monkeypatch):
    if "EBPF_SERVER_BINARY" not in os.environ:
        path = tools.ROOT / "bin" / "ebpf-server"
        assert path.exists(), f"{path} is not built: make build"
        monkeypatch.setenv("EBPF_SERVER_BINARY", str(path))


@pytest.fixture
def data(tmp_path):
    """Where events are kept over several servers."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return folder


class Sequence:
    """Numbered connects at a rate; times[n] is when call n had returned, 0 before that."""

    def __init__(self, folder, rate, most):
        self.path = folder / "times"
        self.process = subprocess.Popen([tools.tool("sequence"), str(rate), str(most),
                                         str(self.path)])
        wait_for(lambda: self.path.exists() and self.path.stat().st_size == 8 * most,
                 "the sequence to begin")
        with open(self.path, "rb") as file:
            self.memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    @property
    def pid(self):
        return self.process.pid

    def times(self):
        made = []
        for (moment,) in struct.iter_unpack("=Q", self.memory):
            if not moment:
                break
            made.append(moment)
        return made

    def end(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def sequence(folder, rate=RATE, most=1 << 22):
    running = Sequence(folder, rate, most)
    try:
        yield running
    finally:
        running.end()


def history_of(server):
    """As /health has it, healthy or not: without programs nothing runs."""
    return server.api.request("GET", "/health").json()["history"]


def boot_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def all_events(server, **filters):
    """Every event, oldest first, by one cursor: rows of the CSV."""
    after = None
    while True:
        answer = server.api.request("GET", "/api/events", params=filters | {
            "format": "csv", "order": "asc", "limit": PAGE, "after": after})
        assert answer.status == 200, answer.text
        yield from csv.DictReader(answer.text.splitlines())
        after = answer.headers.get("X-Next")
        if not after:
            return


def number_of(row):
    return int(ipaddress.ip_address(row["destination_ip"])) & 0xffffff


# ---- kill -9 ----

class Service:
    """A server of which either process, or both, may be killed, and another one started."""

    def __init__(self, data):
        self.data = data
        self.server = None
        self.start()

    def start(self):
        self.server = Server("--data-dir", self.data, "--programs", "connection", "--memory",
                             "16MiB").wait_until_ready()

    def kill(self, which):
        """Returns when it serves again: (boot ns before the kill, seconds until it was back)."""
        child = child_of(self.server)
        killed = {"server": [child], "loader": [self.server.pid],
                  "both": [self.server.pid, child]}[which]
        before, began = boot_ns(), time.monotonic()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        if which == "server":
            wait_for_restart(self.server, child, BACK_WITHIN * 2)
        else:
            self.server.process.wait()
            # The one that lives on writes what it has and ends by itself.
            wait_for(lambda: not is_alive(child), "the server to end with its loader")
            self.start()
        return before, time.monotonic() - began

    def stop(self):
        self.server.stop()


def assert_nothing_old_is_lost(times, rows, pauses):
    """`pauses`: (killed, back) in boot ns. Each call is there once, unless it was younger than the
    flush interval when something was killed, or nobody watched."""
    seen = {}
    for row in rows:
        number = number_of(row)
        assert number not in seen, f"twice: {row} and {seen[number]}"
        seen[number] = row
    ids = [row["id"] for row in rows]
    assert len(set(ids)) == len(ids)
    missing = [moment for number, moment in enumerate(times) if number not in seen]
    unexplained = [moment for moment in missing
                   if not any(killed - FLUSH_NS < moment < back for killed, back in pauses)]
    assert not unexplained, (f"{len(unexplained)} of {len(missing)} missing events were older, "
                             f"the first by {(min(unexplained) - pauses[0][0]) / 1e9:.3f} s")
    return missing


def test_what_is_older_than_the_flush_interval_survives_every_kill(data, tmp_path):
    """200 times at random moments under load: nothing older than the flush interval is lost, no id
    comes twice, and it is back in time."""
    chance = random.Random(20)
    pauses, took = [], []
    service = Service(data)
    try:
        with sequence(tmp_path) as running, background_storm(seconds=3600, rate=20000,
                                                             command="history-load"):
            for turn in range(KILLS):
                which = chance.choices(("server", "loader", "both"), (5, 1, 1))[0]
                until = boot_ns() + int(chance.uniform(0.1, 1.6) * 1e9)
                wait_for(lambda moment=until: boot_ns() > moment, "a random moment")
                before, seconds = service.kill(which)
                pauses.append((before, boot_ns()))
                took.append(seconds)
                assert seconds < BACK_WITHIN, f"back after {seconds:.2f} s: kill {turn}, {which}"
            pid = running.pid
            wait_for(lambda: boot_ns() > pauses[-1][1] + FLUSH_NS // 2, "some more events")
        times = running.times()
        rows = list(all_events(service.server, type="connection", pid=pid))
        missing = assert_nothing_old_is_lost(times, rows, pauses)
        # What went is said, as far as somebody lived to tell.
        answer = service.server.api("/api/events", type="connection", pid=pid, limit=1)
        assert answer["complete"] is (not missing) or not missing
        assert answer["total_count"] == len(rows)
        print(f"{KILLS} kills: {len(times)} calls, {len(missing)} of them lost; back after "
              f"{min(took):.2f} to {max(took):.2f} s")
        # And all of it is in the file: another server answers the same.
        service.stop()
        service.start()
        again = list(all_events(service.server, type="connection", pid=pid))
        assert again == rows
    finally:
        service.stop()


def test_an_orderly_end_loses_nothing(data, start_server, storm):
    """The newest events too, and the ids stay what they were."""
    command = "history-orderly"
    first = start_server("--data-dir", data, "--programs", "connection",
                         "--set", f"connection.only_command={command}")
    storm(count=10_007, command=command)
    # Each answer drains the rings; what the last one shows, the end has to keep.
    before = list(all_events(first, type="connection"))
    assert len(before) == 10_007
    first.stop()
    second = start_server("--data-dir", data, "--programs", "none")
    assert list(all_events(second, type="connection")) == before
    answer = second.api("/api/events", type="connection", limit=1)
    assert (answer["total_count"], answer["complete"]) == (10_007, True)
    assert (history_of(second)["state"], history_of(second)["events"]) == ("on", 10_007)


def test_streams_without_events_shift_no_others(data, start_server, trigger):
    """Of several streams only the last has events; all of them are known again afterwards."""
    first = start_server("--data-dir", data, "--programs", "connection,packet_drop,tcp_life",
                         "--set", "connection.only_command=nobody")
    types = [stream["name"] for stream in first.api("/api/schema")["streams"]]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", 9))
        sender.send(b"x")
    wait_for(lambda: first.api("/api/events", type="packet_drop")["total_count"], "a drop")
    first.stop()
    for _ in range(2):
        server = start_server("--data-dir", data, "--programs", "none")
        assert not [name for name in os.listdir(data) if "corrupt" in name], server.log_text()
        assert server.api("/api/events", type="packet_drop")["total_count"] >= 1
        assert set(types) >= {"connection", "packet_drop"}
        server.stop()


def test_places_go_on_where_the_last_server_was(data, start_server, trigger):
    numbers = []
    for _ in range(3):
        server = start_server("--data-dir", data, "--programs", "connection")
        made = trigger("tcp4", "127.0.0.1:1", count=3)
        numbers += [event["id"] for event in server.events("connection", 3, pid=made.pid)]
        server.stop()
    assert numbers == sorted(numbers)
    # boot, stream: the same; places: rising
    assert len({(text.split("-")[0], text[-10:-8]) for text in numbers}) == 1
    places = [int(text[-8:], 16) for text in numbers]
    assert places == sorted(set(places))


def test_without_history_nothing_is_kept(data, start_server, trigger):
    server = start_server("--data-dir", data, "--no-history", "--programs", "connection")
    trigger("tcp4", "127.0.0.1:1", count=3)
    assert history_of(server)["state"] == "off"
    server.stop()
    assert not list(data.glob("history*"))


def test_a_second_server_on_the_same_data_runs_without(data, start_server, trigger):
    first = start_server("--data-dir", data, "--programs", "connection")
    second = start_server("--data-dir", data, "--programs", "none")
    assert history_of(second)["state"] == "off"
    lines = [line for line in second.log if b"history" in line]
    assert len(lines) == 1 and b"another server" in lines[0], lines
    made = trigger("tcp4", "127.0.0.1:1", count=7)
    first.events("connection", 7, pid=made.pid)


def test_the_file_stays_within_its_size(data, start_server, storm):
    limit = 16 << 20
    server = start_server("--data-dir", data, "--programs", "connection", "--history-size",
                          "16MiB", "--memory", "8MiB")
    for _ in range(3):
        storm(count=1_000_003, command="history-size", rate=400_000)
        assert (data / "history.db").stat().st_size <= limit
    figures = history_of(server)
    assert limit // 2 < figures["bytes"] <= limit
    answer = server.api("/api/events", type="connection", limit=1)
    assert answer["complete"] is False
    assert answer["total_count"] > 1_000_000


# ---- damage ----

@pytest.fixture
def template(tmp_path, start_server, storm):
    """A history with events of three servers, and the events."""
    folder = tmp_path / "template"
    folder.mkdir(mode=0o700)
    for turn in range(3):
        command = f"history-{turn}"
        server = start_server("--data-dir", folder, "--programs", "connection",
                              "--set", f"connection.only_command={command}")
        storm(count=10_007, command=command, rate=100_000)
        if turn == 1:
            child = child_of(server)
            wait_for(lambda watched=server: history_of(watched)["events"] == 20_014,
                     "all to be written")
            os.kill(child, signal.SIGKILL)
            wait_for_restart(server, child)
        server.stop()
    reader = start_server("--data-dir", folder, "--programs", "none")
    events = {row["id"]: row for row in all_events(reader, type="connection")}
    assert len(events) == 3 * 10_007
    reader.stop()
    return folder, events


def damage(path, chance):
    """Cuts a file, or flips bits of it."""
    size = path.stat().st_size
    if not size:
        return "nothing"
    if chance.random() < 0.4:
        at = chance.randrange(size)
        os.truncate(path, at)
        return f"{path.name} cut at {at} of {size}"
    places = [chance.randrange(size) for _ in range(chance.choice((1, 1, 2, 7)))]
    with open(path, "r+b") as file:
        for at in places:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << chance.randrange(8)]))
    return f"{path.name} flipped at {places} of {size}"


def test_a_damaged_file_stops_nothing(template, tmp_path, start_server):
    """500 times at random places: never a crash, never a start that fails, and what is whole
    answers, truly."""
    folder, events = template
    chance = random.Random(21)
    found = []
    for turn in range(DAMAGES):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        os.chmod(copy, 0o700)
        for path in [copy, *copy.iterdir()]:
            os.chown(path, folder.stat().st_uid, folder.stat().st_gid)
        victims = [path for path in copy.iterdir() if path.name.startswith("history.db")]
        what = damage(chance.choice(victims), chance)
        server = start_server("--data-dir", copy, "--programs", "none")
        child = child_of(server)
        wait_for(lambda watched=server: history_of(watched)["taking_over"] is False,
                 "what is whole to be taken over")
        assert history_of(server)["state"] == "on", what
        answer = server.api.request("GET", "/api/events", params={"limit": 1})
        assert answer.status == 200, what
        rows = []
        if "connection" in [stream["name"] for stream in server.api("/api/schema")["streams"]]:
            rows = list(all_events(server, type="connection"))
            for row in rows:
                assert events.get(row["id"]) == row, f"{what}: {row}"
            assert len({row["id"] for row in rows}) == len(rows), what
            complete = server.api("/api/events", type="connection", limit=1)["complete"]
            # (What a log that was cut held, nobody can tell.)
            assert len(rows) == len(events) or not complete or "-wal" in what, what
        found.append(len(rows))
        assert child_of(server) == child, f"{what}: the server was started again"
        server.stop()
        shutil.rmtree(copy)
    print(f"{DAMAGES} times: all events in {found.count(len(events))}, some in "
          f"{sum(0 < count < len(events) for count in found)}, none in {found.count(0)}")
    assert sum(count > len(events) // 2 for count in found) > DAMAGES // 3
