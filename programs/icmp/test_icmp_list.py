# SPDX-License-Identifier: MIT
"""The icmp program and the IP list: packets of listed addresses are marked, alone reported, or
dropped on arrival, by what the mode says."""
import contextlib
import json
import socket

import pytest

from harness import packets
from harness.foreign import ForeignXdp
from harness.icmp import Line, Tap
from harness.processes import settled_ledger
from harness.sockets import socket_in

COUNT, OTHERS = 7, 11
OTHER = "10.77.0.3"
V6, OTHER_V6 = "fd77::3", "fd78::3"
PORT = 40_021
MODES = ["tag", "only", "drop"]


@pytest.fixture
def line(network):
    line = Line(network)
    yield line
    line.close()


@pytest.fixture
def start(start_server, line):
    return lambda mode, *arguments: start_server(
        "--programs", "icmp", "--interface", "veth0", f"--ip-list-mode={mode}", *arguments,
        namespace=line.near)


def add(server, *entries):
    response = server.api.request("POST", "/add_ips",
                                  body=json.dumps({"add_ips": entries}).encode())
    assert response.status == 200, response.text


def clear(server):
    assert server.api.request("POST", "/clear_ip_list",
                              body=b'{"clear_ip_list":true}').status == 200


def echo(source, destination, number):
    return packets.ip(source, destination, packets.ICMP, packets.icmp_echo(0x4343, number))


@pytest.mark.parametrize("mode", MODES)
def test_requests_of_a_listed_address(start, line, mode):
    """By its source or its destination; what leaves is never dropped."""
    server = start(mode)
    line.near.ip("address", "add", "10.77.1.1/32", "dev", "veth0")
    add(server, line.FAR, "10.77.1.0/24")
    before = settled_ledger(server, "icmp")
    for number in range(COUNT):
        line.send(line.far, line.frame(line.far, echo(line.FAR, line.NEAR, number)))
        line.send(line.far, line.frame(line.far, echo(OTHER, "10.77.1.1", number)))
    for number in range(OTHERS):
        line.send(line.far, line.frame(line.far, echo(OTHER, line.NEAR, number)))
    arrived = server.events("icmp", 2 * COUNT, direction="ingress", watched="true")
    assert {(event["src_ip"], event["dst_ip"]) for event in arrived} == {
        (line.FAR, line.NEAR), (OTHER, "10.77.1.1")}
    server.events("icmp", 2 * COUNT + (OTHERS if mode != "only" else 0), direction="ingress")
    # Who is not there gets no reply: of the others the kernel knows no neighbour.
    replies = server.events("icmp", COUNT, direction="egress", dst_ip=line.FAR) \
        if mode != "drop" else []
    assert {event["watched"] for event in replies} <= {True}
    if mode == "drop":
        assert server.api("/api/events", type="icmp", direction="egress",
                          dst_ip=line.FAR)["total_count"] == 0
        clear(server)
        line.send(line.far, line.frame(line.far, echo(line.FAR, line.NEAR, 99)))
        [reply] = server.events("icmp", 1, direction="egress", icmp_seq=99)
        assert reply["watched"] is False
    counts = settled_ledger(server, "icmp")
    assert (counts["filtered"] - before["filtered"] >= OTHERS) == (mode == "only")


@pytest.mark.parametrize("foreign", [False, True], ids=["XDP", "tc"])
@pytest.mark.parametrize("mode", MODES)
def test_other_packets_are_dropped_too(start, line, mode, foreign):
    """A socket gets what was sent before and after the list was there, and nothing between."""
    with ForeignXdp(line.near) if foreign else contextlib.nullcontext():
        server = start(mode)
        hook = server.api("/api/programs/icmp")["hook"]
        assert hook.startswith("tc") == foreign, hook
        with socket_in(line.near, socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.settimeout(10)
            receiver.bind((line.NEAR, PORT))

            def send(text, source=line.FAR):
                datagram = packets.udp(source, line.NEAR, PORT, PORT, text)
                line.send(line.far, line.frame(line.far, packets.ip(
                    source, line.NEAR, packets.UDP, datagram)))

            send(b"before")
            assert receiver.recv(100) == b"before"
            add(server, "10.77.0.2/31")
            for _ in range(COUNT):
                send(b"listed")
            send(b"other", "10.77.0.9")
            expected = [b"other"] if mode == "drop" else [b"listed"] * COUNT + [b"other"]
            assert [receiver.recv(100) for _ in expected] == expected
            clear(server)
            send(b"after")
            assert receiver.recv(100) == b"after"


def tagged(packet, *tags):
    """The packet behind VLAN tags, with the type that the frame then has."""
    ethertype = packets.ethertype_of(packet)
    for tag in reversed(tags):
        packet, ethertype = packets.vlan(tag, ethertype) + packet, 0x8100
    return packet, ethertype


@pytest.mark.parametrize("tags", [(), (7,), (7, 11)], ids=["plain", "tagged", "twice"])
def test_what_is_dropped_by_xdp(start, line, tags):
    """IPv6, UDP and ICMPv6, behind VLAN tags: the tap behind XDP sees all but the listed ones."""
    server = start("drop")
    add(server, "fd77::/16")
    with Tap(line.near) as tap:
        sent = []
        for source in (V6, OTHER_V6):
            for packet in (
                    packets.ip(source, "fd79::1", packets.UDP,
                               packets.udp(source, "fd79::1", 1, 2, b"seven b")),
                    packets.ip(source, "fd79::1", packets.ICMPV6,
                               packets.icmpv6(source, "fd79::1", 128, 0))):
                content, ethertype = tagged(packet, *tags)
                frame = line.frame(line.far, content, ethertype)
                line.send(line.far, frame)
                if source == OTHER_V6:
                    sent.append(frame)
        assert [tap.receive() for _ in sent] == sent
    events = server.events("icmp", 2)
    assert [event["watched"] for event in events] == [True, False]


def test_what_leaves_is_not_dropped(start, line):
    server = start("drop")
    add(server, line.FAR)
    with Tap(line.far) as tap, \
            socket_in(line.near, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender:
        sender.sendto(packets.icmp_echo(0x4343, 1), (line.FAR, 0))
        assert tap.receive()[23] == packets.ICMP
    # The reply is dropped where it arrives.
    events = server.events("icmp", 2)
    assert [(event["direction"], event["watched"]) for event in events] == [
        ("egress", True), ("ingress", True)]
