# SPDX-License-Identifier: MIT
"""The IP list in the kernel: which events are watched, what each mode does, and that the list is
kept and in force whatever ends."""
import json
import os
import signal
import socket

import pytest

from harness.lab import Lab
from harness.processes import child_of, settled_ledger, wait_for_restart
from harness.wait import wait_for

DEADLINE = 20
CONNECTS, DROPS = 7, 11


def post(server, path, body):
    response = server.api.request("POST", path, body=json.dumps(body).encode())
    assert response.status == 200, f"{path}: {response.status} {response.text}"
    return response.json()


def add(server, *entries):
    return post(server, "/add_ips", {"add_ips": list(entries)})


def clear(server):
    assert post(server, "/clear_ip_list", {"clear_ip_list": True})["total_ips"] == 0


def listed(server):
    return post(server, "/print_all_ips", {"print_all_ips": True})["ips"]


def watched(server, count, pid):
    """`watched` of the only `count` connects of a process."""
    return {event["watched"] for event in server.events("connection", count, pid=pid)}


def total(server, **filters):
    return server.api("/api/events", **filters)["total_count"]


@pytest.fixture(scope="module")
def tagging(shared_server):
    return shared_server


# ---- tag ----

@pytest.mark.parametrize("entry, hit, miss", [
    ("127.9.0.1", "127.9.0.1:1", "127.9.0.2:1"),
    (0x7f090003, "127.9.0.3:1", "127.9.0.4:1"),
    ("127.10.0.0/16", "127.10.255.254:1", "127.11.0.1:1"),
    ("127.12.0.2/31", "127.12.0.3:1", "127.12.0.4:1"),
    ("::ffff:127.13.0.1", "127.13.0.1:1", "127.13.0.2:1"),
    ("0.0.0.0/0", "127.1.2.3:1", "[::1]:1"),
    ("::1", "[::1]:1", "127.0.0.1:1"),
    ("fd55:1::/32", "[fd55:1:2::3]:1", "[fd55:2::1]:1"),
    ("fd55:3::2/127", "[fd55:3::3]:1", "[fd55:3::4]:1"),
    ("2000::/3", "[2001:db8::1]:1", "[fd00::1]:1"),
])
def test_connections(tagging, trigger, entry, hit, miss):
    clear(tagging)
    add(tagging, entry)
    for address, expected in ((hit, True), (miss, False)):
        made = trigger("udp6" if address[0] == "[" else "udp4", address, count=CONNECTS)
        assert watched(tagging, CONNECTS, made.pid) == {expected}, address
        for value in (True, False):
            assert total(tagging, pid=made.pid, watched=str(value).lower()) == \
                CONNECTS * (value == expected)
    clear(tagging)
    made = trigger("udp6" if hit[0] == "[" else "udp4", hit, count=CONNECTS)
    assert watched(tagging, CONNECTS, made.pid) == {False}


def test_an_ipv4_address_by_an_ipv6_socket(tagging, trigger):
    clear(tagging)
    add(tagging, "127.14.0.0/24")
    made = trigger("udp6", "[::ffff:127.14.0.9]:1", count=CONNECTS)
    assert watched(tagging, CONNECTS, made.pid) == {True}


def test_what_has_no_address_is_not_watched(tagging, trigger):
    clear(tagging)
    add(tagging, "0.0.0.0/0", "::/0")
    made = trigger("unix", "/tmp/no-such-socket-here", count=CONNECTS)
    assert watched(tagging, CONNECTS, made.pid) == {False}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("end", ["source", "destination", "prefix", "none"])
def test_drops(tagging, netns, version, end):
    clear(tagging)
    source, destination = Lab.ENDS[version]
    add(tagging, {"source": source, "destination": destination, "none": "198.51.100.1",
                  "prefix": "10.77.0.0/24" if version == 4 else "fd77::/16"}[end])
    with Lab(*netns) as lab:
        lab.inject(lab.udp(version), DROPS)
        events = lab.dropped(tagging, DROPS, source_ip=source, destination_ip=destination)
        assert {event["watched"] for event in events} == {end != "none"}
        assert total(tagging, type="packet_drop", network_namespace=lab.other.inode,
                     timestamp=f"{lab.since}..", watched="true") == DROPS * (end != "none")


# ---- only ----

def test_only_connections_of_listed_addresses(start_server, trigger):
    server = start_server("--programs", "connection", "--ip-list-mode=only")
    made = trigger("udp4", "127.0.0.1:1", count=CONNECTS)
    server.events("connection", CONNECTS, pid=made.pid)  # an empty list is none
    add(server, "127.9.0.0/16", "fd55::1")
    before = settled_ledger(server)
    some = [trigger("udp4", "127.9.1.1:1", count=CONNECTS),
            trigger("udp6", "[fd55::1]:1", count=CONNECTS)]
    others = [trigger("udp4", "127.8.1.1:1", count=101), trigger("udp6", "[fd55::2]:1", count=103),
              trigger("unix", "/tmp/no-such-socket-here", count=107)]
    for made in some:
        assert watched(server, CONNECTS, made.pid) == {True}
    # What is not wanted is counted, and nowhere else.
    counts = settled_ledger(server, expected=lambda now: now["filtered"] >=
                            before["filtered"] + 311)
    for made in others:
        assert total(server, type="connection", pid=made.pid) == 0
    assert counts["produced"] - before["produced"] >= 311 + 2 * CONNECTS
    assert counts["stored"] - before["stored"] >= 2 * CONNECTS
    assert counts["lost"] == before["lost"]
    clear(server)
    made = trigger("unix", "/tmp/no-such-socket-here", count=CONNECTS)
    server.events("connection", CONNECTS, pid=made.pid)


@pytest.mark.parametrize("version", [4, 6])
def test_only_drops_of_listed_addresses(start_server, network, version):
    server = start_server("--programs", "packet_drop", "--ip-list-mode=only")
    source, _ = Lab.ENDS[version]
    add(server, source)
    before = settled_ledger(server, "packet_drop")
    with Lab(*network.pair()) as lab:
        lab.inject(lab.udp(version), DROPS)
        # Of the other version: not listed.
        lab.inject(lab.udp(10 - version), 101)
        events = lab.dropped(server, DROPS, protocol="UDP")
        assert {event["source_ip"] for event in events} == {source}
        assert {event["watched"] for event in events} == {True}
    settled_ledger(server, "packet_drop",
                   lambda now: now["filtered"] >= before["filtered"] + 101)


# ---- drop ----

def test_drop_is_tag_where_nothing_can_be_dropped(start_server, trigger):
    server = start_server("--programs", "connection", "--ip-list-mode=drop")
    add(server, "127.9.0.1")
    for address, expected in (("127.9.0.1:1", True), ("127.9.0.2:1", False)):
        made = trigger("udp4", address, count=CONNECTS)
        assert watched(server, CONNECTS, made.pid) == {expected}
        assert all(call.return_code == 0 for call in made.calls)


def test_the_mode_changes_while_it_runs(start_server, trigger, tmp_path):
    config = tmp_path / "server.conf"
    config.write_text("[server]\n")
    server = start_server("--programs", "connection", "--config", config)
    child = child_of(server)
    add(server, "127.9.0.1")

    def reports(address, count):
        made = trigger("udp4", address, count=CONNECTS)
        answer = server.api("/api/events", type="connection", pid=made.pid)
        return answer["total_count"] == count

    def change(mode):
        seen = len(server.log)
        config.write_text(f"[server]\nip-list-mode = {mode}\n")
        os.kill(server.pid, signal.SIGHUP)
        wait_for(lambda: any(b"configuration read again" in line for line in server.log[seen:]),
                 "the configuration to be read again")

    assert reports("127.9.0.2:1", CONNECTS)
    change("only")
    assert reports("127.9.0.2:1", 0)
    assert reports("127.9.0.1:1", CONNECTS)
    change("tag")
    assert reports("127.9.0.2:1", CONNECTS)
    # A bad one changes nothing.
    seen = len(server.log)
    config.write_text("[server]\nip-list-mode = some\n")
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: any(b"'some' is not tag, only or drop" in line
                         for line in server.log[seen:]), "an error")
    assert reports("127.9.0.2:1", CONNECTS)
    assert child_of(server) == child
    assert listed(server) == ["127.9.0.1"]


# ---- kept ----

ENTRIES = [1, "127.9.0.1", "fd55::/64", 0x7f090002]


def is_in_force(server, trigger):
    made = trigger("udp4", "127.9.0.1:1", count=CONNECTS)
    other = trigger("udp4", "127.9.0.3:1", count=CONNECTS)
    assert watched(server, CONNECTS, made.pid) == {True}
    assert watched(server, CONNECTS, other.pid) == {False}
    assert listed(server) == ENTRIES


def kill_server(server):
    child = child_of(server)
    os.kill(child, signal.SIGKILL)
    return child


@pytest.mark.parametrize("data", ["kept", "none"])
def test_a_server_that_is_killed(start_server, trigger, data):
    options = ["--data-dir", "none"] if data == "none" else []
    server = start_server("--programs", "connection", *options)
    add(server, *ENTRIES)
    add(server, *ENTRIES)
    is_in_force(server, trigger)
    told = [line for line in server.log if b"there is no data directory" in line]
    assert len(told) == (data == "none"), server.log_text()
    for _ in range(3):
        dead = kill_server(server)
        # In force in the kernel while nobody is there, too: read by the next one.
        made = trigger("udp4", "127.9.0.1:1", count=CONNECTS)
        wait_for_restart(server, dead)
        assert watched(server, CONNECTS, made.pid) == {True}
        is_in_force(server, trigger)
    # Server and kernel agree from then on as well.
    clear(server)
    made = trigger("udp4", "127.9.0.1:1", count=CONNECTS)
    assert watched(server, CONNECTS, made.pid) == {False}


@pytest.fixture
def data_dir(tmp_path):
    os.chmod(tmp_path, 0o755)
    return tmp_path / "data"


@pytest.fixture
def reachable(tmp_path):
    """The data directory is the server's user's; pytest's folders are root's alone."""
    changed = []
    for folder in tmp_path.parents:
        mode = os.stat(folder).st_mode & 0o7777
        if str(folder) != "/" and not mode & 0o001:
            changed.append((folder, mode))
            os.chmod(folder, mode | 0o011)
    yield
    for folder, mode in changed:
        os.chmod(folder, mode)


def test_a_daemon_that_ends(start_server, trigger, data_dir, reachable):
    options = ("--programs", "connection", "--data-dir", data_dir)
    server = start_server(*options)
    add(server, *ENTRIES)
    post(server, "/add_pids", {"pids": [1, os.getpid()]})
    post(server, "/set_print_all", {"print_all": True})
    assert os.stat(data_dir / "ip_list").st_mode & 0o777 == 0o600
    server.stop()
    server = start_server(*options)
    is_in_force(server, trigger)
    assert server.api("/target_pids")["pids"] == [1, os.getpid()]
    assert server.api("/target_pids")["print_all"] is True
    server.kill()  # both processes, at once
    server = start_server(*options)
    is_in_force(server, trigger)
    clear(server)
    server.stop()
    server = start_server(*options)
    assert listed(server) == []


def test_the_list_is_there_before_the_first_event(start_server, start_trigger, data_dir,
                                                  reachable):
    """With `only`, a program that reported before it had its list would show what is not listed."""
    options = ("--programs", "connection", "--data-dir", data_dir, "--ip-list-mode=only")
    server = start_server(*options)
    add(server, "198.51.100.1")
    server.stop()
    storm = start_trigger("udp4", "127.0.0.1:1", count=300_007)
    server = start_server(*options)
    storm.finish()
    settled_ledger(server, expected=lambda counts: counts["filtered"] > 0)
    assert server.api("/api/events", type="connection", pid=storm.pid)["total_count"] == 0


def test_a_corrupt_file(start_server, trigger, data_dir, reachable):
    options = ("--programs", "connection", "--data-dir", data_dir)
    server = start_server(*options)
    add(server, "127.9.0.7")
    server.stop()
    path = data_dir / "ip_list"
    path.write_bytes(path.read_bytes().replace(b".7", b".8"))
    server = start_server(*options)
    assert listed(server) == []
    told = [line for line in server.log if b" warn ip_list" in line]
    assert len(told) == 1 and b"ip_list.corrupt" in told[0], server.log_text()
    assert b"127.9.0.8" in (data_dir / "ip_list.corrupt").read_bytes()
    add(server, *ENTRIES)
    is_in_force(server, trigger)


def test_programs_that_go_and_come(start_server, trigger):
    server = start_server("--programs", "connection")
    add(server, *ENTRIES)
    for _ in range(2):
        for what in ("disable", "enable"):
            assert server.api.request("POST", f"/api/programs/connection/{what}").status == 200
        is_in_force(server, trigger)
    # Changed while no program was there to see it.
    assert server.api.request("POST", "/api/programs/connection/disable").status == 200
    clear(server)
    add(server, *ENTRIES)
    assert server.api.request("POST", "/api/programs/connection/enable").status == 200
    is_in_force(server, trigger)
    # Another set of parameters is another program with the same maps.
    response = server.api.request("PATCH", "/api/programs/connection",
                                  body=b'{"parameters":{"only_uid":0}}')
    assert response.status == 200
    is_in_force(server, trigger)


def test_a_list_before_the_first_program(start_server, trigger):
    """Its maps are made with the first program that asks."""
    server = start_server("--programs", "none")
    add(server, *ENTRIES)
    assert server.api.request("POST", "/api/programs/connection/enable").status == 200
    is_in_force(server, trigger)


# ---- many ----

def test_ten_thousand_entries(start_server, trigger):
    server = start_server("--programs", "connection")
    first = 0x7f200000
    for begin in range(0, 10_000, 2_500):
        total = add(server, *(f"{socket.inet_ntoa((first + 2 * i).to_bytes(4, 'big'))}"
                              for i in range(begin, begin + 2_500)))["total_ips"]
        assert total == begin + 2_500
    for number in (0, 1, 4_999, 9_999):
        for odd in (0, 1):
            address = socket.inet_ntoa((first + 2 * number + odd).to_bytes(4, "big"))
            made = trigger("udp4", f"{address}:1", count=CONNECTS)
            assert watched(server, CONNECTS, made.pid) == {not odd}, address
    dead = kill_server(server)
    wait_for_restart(server, dead)
    assert len(listed(server)) == 10_000
