# SPDX-License-Identifier: MIT
"""Programs on network interfaces that are there, come, go, change their names, and have programs of
others. icmp stands for all; one that only lets packets pass for those with XDP alone."""
import json
import os
import signal
import threading

import pytest

from harness import packets
from harness.foreign import GENERIC, NAME, ForeignXdp
from harness.icmp import Line
from harness.kernel import bpf_leftovers, bpf_objects, boot_ns
from harness.objects import compile_object
from harness.processes import (LINK, child_of, descriptors, freeze, settled_ledger, thaw,
                               wait_for_restart)
from harness.wait import wait_for

UNNAMED = "runs when an interface is named: --interface"
NO_NATIVE = "native XDP not supported by its driver"
PACKETS = 31
SOURCE = """/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#define PROGRAM_OF_PACKETS
#include "program.bpf.h"

PROGRAM("Lets every packet pass");

%s
"""
PASS = """SEC("%s") %s
int pass%d(void *context)
{
	(void)context;
	return %d;
}
"""


@pytest.fixture
def line(network):
    line = Line(network)
    yield line
    line.close()


@pytest.fixture
def start(start_server, line):
    return lambda *arguments, programs="icmp": start_server(
        "--programs", programs, "--log-level", "info", *arguments, namespace=line.near)


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "programs"
    path.mkdir(mode=0o755)
    return path


def put(directory, *functions, name="pass"):
    """A program of (section, annotation) functions in a directory of programs."""
    source = SOURCE % "\n".join(
        PASS % (section, annotation, number, 2 if "xdp" in section else -1)
        for number, (section, annotation) in enumerate(functions))
    path = directory / f"{name}.bpf.o"
    path.write_bytes(compile_object(directory, name, source))
    os.chmod(path, 0o644)


def program(server, name="icmp"):
    return server.api(f"/api/programs/{name}")


def modes(server, name="icmp"):
    """{"veth0": (ingress, egress)} as they are attached now; None where it is not."""
    found = {}
    for entry in program(server, name)["interfaces"]:
        place = found.setdefault(entry["name"], [None, None])
        place[("ingress", "egress").index(entry["direction"])] = entry["mode"]
    return {name: tuple(place) for name, place in found.items()}


def wait_for_status(server, status, name="icmp"):
    return wait_for(lambda: (shown := program(server, name))["status"] == status and shown,
                    f"status {status}")


ATTACHED, MISSING = ("xdp native", "tcx"), (None, None)


def wait_for_modes(server, **expected):
    wait_for(lambda: modes(server) == expected, f"interfaces {expected}")


def add_veth(namespace, name, peer):
    namespace.ip("link", "add", name, "type", "veth", "peer", "name", peer)
    for end in (name, peer):
        namespace.ip("link", "set", end, "up")


def leave(namespace, line, interface, count=PACKETS):
    """Sends frames out of an interface; returns when each of them is an event."""
    frame = packets.ethernet(b"\2" * 6, b"\2\2\2\2\2\3", packets.ETHERTYPE_IPV4, packets.ipv4(
        "192.0.2.1", "192.0.2.2", packets.ICMP, packets.icmp_echo(1, 1)))
    from harness.sockets import Wire
    with Wire(namespace, interface) as wire:
        wire.send(frame, count)


def assert_watched(server, line, interface, count=PACKETS):
    since = boot_ns()
    leave(line.near, line, interface, count)
    events = server.events("icmp", count, timestamp=f"{since}..", direction="egress")
    assert {event["interface"] for event in events} == {interface}


def log_lines(server, text):
    return [line for line in server.log_text().splitlines() if text in line]


# ---- with and without ----

def test_without_an_interface(start):
    server = start()
    shown = program(server)
    assert (shown["status"], shown["enabled"], shown["loaded"], shown["attached"],
            shown["interfaces"], shown["hook"], shown["error"]) == (
                "disabled", True, False, False, [], None, UNNAMED)
    [line] = log_lines(server, UNNAMED)
    assert line.endswith(f" info icmp: {UNNAMED}")
    answer = server.api.request("POST", "/api/programs/icmp/enable")
    assert answer.status == 400 and answer.json()["message"] == f"program icmp: {UNNAMED}"
    assert program(server)["status"] == "disabled"


def test_by_default_it_is_off_and_nothing_is_in_the_kernel(start_server, line):
    server = start_server(namespace=line.near)
    assert program(server)["error"] == UNNAMED
    assert program(server)["loaded"] is False


def test_two_interfaces(start, line):
    add_veth(line.near, "one", "two")
    server = start("--interface", "one", "--interface", "veth0,lo")
    shown = program(server)
    assert shown["status"] == "running" and shown["attached"] and shown["error"] is None
    assert shown["hook"] == ("xdp native ingress (one, veth0), xdp generic ingress (lo), "
                             "tcx egress (one, veth0, lo)")
    assert shown["fallback_reason"] == f"lo ingress: {NO_NATIVE}"
    assert shown["interfaces"] == [
        {"name": "one", "direction": "ingress", "mode": "xdp native", "reason": None},
        {"name": "veth0", "direction": "ingress", "mode": "xdp native", "reason": None},
        {"name": "lo", "direction": "ingress", "mode": "xdp generic", "reason": NO_NATIVE},
        {"name": "one", "direction": "egress", "mode": "tcx", "reason": None},
        {"name": "veth0", "direction": "egress", "mode": "tcx", "reason": None},
        {"name": "lo", "direction": "egress", "mode": "tcx", "reason": None}]
    assert len(log_lines(server, NO_NATIVE)) == 1
    assert_watched(server, line, "one")
    assert_watched(server, line, "veth0")


def test_disabled_and_enabled(start, line):
    server = start("--interface", "veth0")
    links = descriptors(server.pid, LINK)
    assert len(links) == 2
    for _ in range(3):
        assert server.api.request("POST", "/api/programs/icmp/disable").status == 200
        shown = program(server)
        assert (shown["status"], shown["interfaces"], shown["error"]) == ("disabled", [], None)
        assert descriptors(server.pid, LINK) == []
        leave(line.near, line, "veth0", 3)
        assert server.api.request("POST", "/api/programs/icmp/enable").status == 200
        assert modes(server) == {"veth0": ATTACHED}
        assert_watched(server, line, "veth0")
    # Enabled twice.
    assert server.api.request("POST", "/api/programs/icmp/enable").status == 200
    assert modes(server) == {"veth0": ATTACHED}


# ---- come and go ----

def test_an_interface_that_comes_and_goes(start, line):
    # With nothing but icmp there would be nothing to be ready for.
    server = start("--interface", "late", programs="icmp,connection")
    others = descriptors(server.pid, LINK)
    shown = program(server)
    assert (shown["status"], shown["loaded"], shown["attached"], shown["error"]) == (
        "waiting", True, False, "waits for network interface late")
    assert shown["interfaces"] == [
        {"name": "late", "direction": direction, "mode": None,
         "reason": "there is no such interface now"} for direction in ("ingress", "egress")]
    for _ in range(3):
        add_veth(line.near, "late", "peer")
        assert wait_for_status(server, "running")["error"] is None
        wait_for_modes(server, late=ATTACHED)
        assert_watched(server, line, "late")
        line.near.ip("link", "delete", "late")
        assert wait_for_status(server, "waiting")["error"] == "waits for network interface late"
        wait_for(lambda: descriptors(server.pid, LINK) == others, "links gone")


def test_some_are_there_and_some_are_not(start, line):
    server = start("--interface", "veth0,nowhere,never")
    shown = program(server)
    assert shown["status"] == "running" and shown["attached"]
    assert modes(server) == {"veth0": ATTACHED, "nowhere": MISSING, "never": MISSING}
    line.near.ip("link", "set", "veth0", "down")
    line.near.ip("link", "set", "veth0", "name", "other")
    shown = wait_for_status(server, "waiting")
    assert shown["error"] == "waits for network interface veth0, nowhere, never"
    assert shown["attached"] is False


def test_another_interface_under_the_same_name_and_number(start, line):
    """All that tells them apart is that the link to the first is dead."""
    line.near.ip("link", "add", "same", "index", "4711", "type", "veth", "peer", "name", "peer")
    server = start("--interface", "same")
    before = descriptors(server.pid, LINK)
    freeze(server.pid)
    try:
        line.near.run("sh", "-c", "ip link delete same; ip link add same index 4711 type veth peer "
                      "name peer; ip link set same up; ip link set peer up")
    finally:
        thaw(server.pid)
    wait_for(lambda: len(descriptors(server.pid, LINK)) == 2 and
             not set(descriptors(server.pid, LINK)) & set(before), "links to the new one")
    wait_for_modes(server, same=ATTACHED)
    assert_watched(server, line, "same")


def test_a_rename_is_another_interface(start, line):
    """The option names interfaces by name: what has another name is not watched any more."""
    add_veth(line.near, "one", "two")
    server = start("--interface", "one")
    line.near.ip("link", "set", "one", "down")
    line.near.ip("link", "set", "one", "name", "away")
    wait_for_modes(server, one=MISSING)
    assert not ForeignXdpPresence(line.near, "away")
    line.near.ip("link", "set", "away", "name", "one")
    line.near.ip("link", "set", "one", "up")
    wait_for_modes(server, one=ATTACHED)
    assert_watched(server, line, "one")


def ForeignXdpPresence(namespace, interface):
    return "xdp" in json.loads(namespace.ip("-json", "link", "show", "dev", interface))[0]


def test_two_interfaces_exchange_their_names(start, line):
    add_veth(line.near, "one", "one-peer")
    add_veth(line.near, "two", "two-peer")
    server = start("--interface", "one,two")
    line.near.run("sh", "-c", "ip link set one down; ip link set two down;"
                  "ip link set one name x; ip link set two name one; ip link set x name two;"
                  "ip link set one up; ip link set two up")
    wait_for_modes(server, one=ATTACHED, two=ATTACHED)
    assert_watched(server, line, "one")
    assert_watched(server, line, "two")
    assert len(descriptors(server.pid, LINK)) == 4


def test_two_names_of_one_interface(start, line):
    line.near.ip("link", "property", "add", "dev", "veth0", "altname", "second")
    server = start("--interface", "veth0,second")
    assert modes(server) == {"veth0": ATTACHED, "second": MISSING}
    reasons = {(entry["name"], entry["reason"]) for entry in program(server)["interfaces"]}
    assert reasons == {("veth0", None), ("second", "is attached to as veth0")}


def test_moved_to_another_namespace(start, line):
    add_veth(line.near, "one", "peer")
    server = start("--interface", "one")
    line.near.ip("link", "set", "one", "netns", line.far.name)
    wait_for_status(server, "waiting")
    assert descriptors(server.pid, LINK) == []
    assert not ForeignXdpPresence(line.far, "one")


def test_many_others_come_and_go(start, line):
    server = start("--interface", "veth0")
    links = descriptors(server.pid, LINK)
    for number in range(53):
        line.near.run("sh", "-c", f"ip link add x{number} type veth peer name y{number} && "
                      f"ip link delete x{number}")
    assert_watched(server, line, "veth0")
    assert descriptors(server.pid, LINK) == links
    assert len(log_lines(server, "attached to")) == 2


# ---- others' programs ----

def test_the_place_of_somebody_elses_program(start, line):
    with ForeignXdp(line.near) as theirs:
        server = start("--interface", "veth0")
        reason = f"has XDP program {theirs.id} ({NAME}) already, and keeps it"
        shown = program(server)
        assert shown["status"] == "running"
        assert shown["hook"] == "tcx ingress (veth0), tcx egress (veth0)"
        assert shown["fallback_reason"] == f"veth0 ingress: {reason}"
        assert shown["interfaces"][0] == {"name": "veth0", "direction": "ingress", "mode": "tcx",
                                          "reason": reason}
        [logged] = log_lines(server, reason)
        assert logged.endswith(" info icmp: attached to veth0 ingress (tcx); better hooks do not "
                               f"work here: {reason}")
        line.send(line.far, line.frame(line.far, packets.ipv4(
            line.FAR, line.NEAR, packets.ICMP, packets.icmp_echo(1, 1))))
        assert [event["direction"] for event in server.events("icmp", 2)] == ["ingress", "egress"]
        assert theirs.is_attached(line.near)
        server.stop()
        assert theirs.is_attached(line.near)


def test_xdp_alone_is_refused_where_somebody_else_is(start, line, directory):
    put(directory, ("xdp", ""))
    with ForeignXdp(line.near, mode=GENERIC) as theirs:
        # With nothing but this one there would be nothing to be ready for.
        server = start("--interface", "veth0", "--program-dir", directory,
                       programs="pass,connection")
        reason = f"has XDP program {theirs.id} ({NAME}) already, and keeps it"
        shown = program(server, "pass")
        assert (shown["status"], shown["attached"], shown["error"]) == (
            "failed", False, f"veth0 ingress: {reason}")
        [logged] = log_lines(server, reason)
        assert logged.endswith(f" warn pass: cannot be attached to veth0 ingress: {reason}")
        answer = server.api.request("POST", "/api/programs/pass/enable")
        assert answer.status == 500 and reason in answer.json()["message"]
        assert theirs.is_attached(line.near)
    # Gone: the kernel says so, and the place is taken.
    shown = wait_for_status(server, "running", "pass")
    assert (shown["hook"], shown["error"]) == ("xdp native ingress (veth0)", None)
    assert len(log_lines(server, "cannot be attached")) == 1


def test_two_programs_of_ours_on_one_interface(start, line, directory):
    put(directory, ("xdp", ""))
    server = start("--interface", "veth0", "--program-dir", directory, programs="icmp,pass")
    assert modes(server) == {"veth0": ATTACHED}
    assert "already, and keeps it" in program(server, "pass")["error"]
    assert server.api.request("POST", "/api/programs/icmp/disable").status == 200
    wait_for_status(server, "running", "pass")
    assert server.api.request("POST", "/api/programs/icmp/enable").status == 200
    assert modes(server) == {"veth0": ("tcx", "tcx")}


# ---- while it runs ----

def test_parameters_change_between_two_packets(start, line):
    """Each packet is seen by the old functions or by the new ones, and by one of them once."""
    server = start("--interface", "veth0")
    frame = line.frame(line.far, packets.ipv4("192.0.2.1", "192.0.2.2", packets.ICMP,
                                              packets.icmp_echo(1, 1)))
    sent, stop = [0], threading.Event()

    def flood():
        while not stop.is_set():
            line.wires[line.far].send(frame, 7)
            line.wires[line.near].send(frame, 7)
            sent[0] += 14

    sender = threading.Thread(target=flood)
    sender.start()
    try:
        for number in range(11):
            answer = server.api.request("PATCH", "/api/programs/icmp", body=json.dumps(
                {"parameters": {"sample": (number + 1) % 2}}).encode(),
                headers={"Content-Type": "application/json"})
            assert answer.status == 200, answer.text
    finally:
        stop.set()
        sender.join()
    assert modes(server) == {"veth0": ATTACHED}
    settled_ledger(server, "icmp", lambda counts: counts["produced"] == sent[0])
    assert sent[0] > 1000
    # The functions that run are those with the last value.
    assert server.api.request("PATCH", "/api/programs/icmp", body=json.dumps(
        {"parameters": {"sample": 4294967295}}).encode(),
        headers={"Content-Type": "application/json"}).status == 200
    line.wires[line.far].send(frame, 1009)
    line.wires[line.near].send(frame, 1009)
    settled_ledger(server, "icmp", lambda counts: 2010 < counts["sampled_out"] <= 2018)


def test_the_list_is_read_again(start, line, tmp_path):
    add_veth(line.near, "one", "two")
    config = tmp_path / "config"

    def reload(text):
        config.write_text(f"[server]\n{text}")
        read = len(log_lines(server, "configuration read again"))
        os.kill(server.pid, signal.SIGHUP)
        wait_for(lambda: len(log_lines(server, "configuration read again")) > read, "SIGHUP")

    config.write_text("[server]\ninterface = veth0\n")
    server = start("--config", config)
    assert modes(server) == {"veth0": ATTACHED}
    kept = descriptors(server.pid, LINK)
    reload("interface = one,veth0,late\n")
    assert modes(server) == {"one": ATTACHED, "veth0": ATTACHED, "late": MISSING}
    assert set(kept) < set(descriptors(server.pid, LINK))
    reload("interface = late,veth0,one\n")
    assert len(descriptors(server.pid, LINK)) == 4
    reload("interface = one\n")
    assert modes(server) == {"one": ATTACHED}
    assert_watched(server, line, "one")
    reload("interface = late\n")
    assert program(server)["error"] == "waits for network interface late"
    reload("")
    assert (program(server)["status"], program(server)["error"]) == ("disabled", UNNAMED)
    assert descriptors(server.pid, LINK) == []
    # Nobody listens now, and it is told when it comes all the same.
    reload("interface = late,veth0\n")
    assert modes(server) == {"late": MISSING, "veth0": ATTACHED}
    add_veth(line.near, "late", "peer")
    wait_for_modes(server, late=ATTACHED, veth0=ATTACHED)
    # What was switched off stays so.
    assert server.api.request("POST", "/api/programs/icmp/disable").status == 200
    reload("interface = one\n")
    assert (program(server)["status"], program(server)["error"]) == ("disabled", None)


def test_a_killed_server_comes_back_to_the_same_interfaces(start, line):
    server = start("--interface", "veth0,nowhere")
    held, before = descriptors(server.pid, LINK), program(server)["interfaces"]
    child = child_of(server)
    os.kill(child, signal.SIGKILL)
    leave(line.near, line, "veth0")
    wait_for_restart(server, child)
    assert descriptors(server.pid, LINK) == held
    assert program(server)["interfaces"] == before
    server.events("icmp", PACKETS)


def test_a_killed_loader_leaves_nothing(start, line):
    before = bpf_objects()
    server = start("--interface", "veth0,lo")
    server.kill()
    wait_for(lambda: not bpf_leftovers(before), "programs and links gone")
    for interface in ("veth0", "lo"):
        assert not ForeignXdpPresence(line.near, interface)
        assert "clsact" not in line.near.run("tc", "qdisc", "show", "dev", interface)


# ---- programs of one's own ----

@pytest.mark.parametrize("functions, hook", [
    ([("xdp", "")], "xdp native ingress (veth0)"),
    ([("?xdp", "ON_INGRESS(1)"), ("?tc", "ON_INGRESS(2)")], "xdp native ingress (veth0)"),
    ([("?xdp", "ON_INGRESS(2)"), ("?tc", "ON_INGRESS(1)")], "tcx ingress (veth0)"),
    ([("?xdp", "ON_INGRESS(2)"), ("?xdp.frags", "ON_INGRESS(1)")], "xdp native ingress (veth0)"),
    ([("tc", "ON_EGRESS(1)")], "tcx egress (veth0)"),
    ([("tcx/ingress", ""), ("tcx/egress", "")], "tcx ingress (veth0), tcx egress (veth0)"),
    ([("classifier", "ON_INGRESS(7)"), ("xdp", "ON_INGRESS(9)")], "tcx ingress (veth0)"),
])
def test_functions_in_general(start, line, directory, functions, hook):
    put(directory, *functions)
    server = start("--interface", "veth0", "--program-dir", directory, programs="pass")
    shown = program(server, "pass")
    assert (shown["status"], shown["hook"], shown["fallback_reason"]) == ("running", hook, None)


@pytest.mark.parametrize("functions, reason", [
    ([("tc", "")],
     "function pass0 (tc): must say its direction: ON_INGRESS(rank) or ON_EGRESS(rank)"),
    ([("xdp", "ON_EGRESS(1)")],
     "function pass0 (xdp): XDP sees only what arrives: ON_INGRESS(rank)"),
    ([("xdp", "RANKED(ingress, 1)")], "function pass0 (xdp): its rank is told by "
     "ON_INGRESS(rank) or ON_EGRESS(rank), not RANKED"),
    ([("xdp", ""), ("tc", "ON_INGRESS(1)")],
     "function pass1 (tc): another function has its direction and rank"),
    ([("tcx/egress", "ON_INGRESS(1)")],
     "function pass0 (tcx/egress): its section and its tag name different directions"),
    ([("tcx/sideways", "")],
     "function pass0 (tcx/sideways): is neither tcx/ingress nor tcx/egress"),
    ([("action", "ON_INGRESS(1)")],
     'function pass0 (action): actions are not attached; write SEC("tc")'),
    ([("xdp/devmap", "")], "function pass0 (xdp/devmap): attaches to a map, not to an interface; "
     'write SEC("xdp")'),
    ([("tc", 'ANNOTATION("interface:sideways:1")')],
     'function pass0: "interface:sideways:1" must be the only interface:ingress:RANK or '
     "interface:egress:RANK, on an XDP or tc function"),
    ([("tp/syscalls/sys_enter_getpgid", "ON_INGRESS(1)")],
     'function pass0: "interface:ingress:1" must be the only interface:ingress:RANK or '
     "interface:egress:RANK, on an XDP or tc function"),
    ([("xdp", "ON_INGRESS(0)")],
     'function pass0: "interface:ingress:0" must be the only interface:ingress:RANK or '
     "interface:egress:RANK, on an XDP or tc function"),
])
def test_functions_that_say_nonsense(start, directory, functions, reason):
    put(directory, *functions)
    shown = program(start("--interface", "veth0", "--program-dir", directory), "pass")
    assert (shown["status"], shown["error"]) == ("failed", reason)


def test_a_file_that_changes_its_hooks(start, line, directory):
    put(directory, ("xdp", ""))
    server = start("--interface", "veth0", "--program-dir", directory, programs="pass")
    put(directory, ("tc", "ON_EGRESS(1)"))
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: program(server, "pass")["hook"] == "tcx egress (veth0)", "the new hook")
    os.unlink(directory / "pass.bpf.o")
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: program(server, "pass")["status"] == "disabled", "the program gone")
    assert program(server, "pass")["interfaces"] == []
    wait_for(lambda: descriptors(server.pid, LINK) == [], "links gone")
