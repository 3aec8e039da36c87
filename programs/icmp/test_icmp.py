# SPDX-License-Identifier: MIT
"""The icmp program where it counts: real pings, a flood, large frames, tunnels."""
import fcntl
import os
import socket
import struct

import pytest

from harness import packets
from harness.icmp import Line, Tap, assert_icmp
from harness.kernel import boot_ns, cgroup_id
from harness.processes import settled_ledger
from harness.sockets import inside, socket_in

FLOOD = 100_003
PINGS = 7
SOL_PACKET, PACKET_VNET_HDR = 263, 15
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 0x0001, 0x1000


@pytest.fixture
def line(network):
    line = Line(network)
    yield line
    line.close()


@pytest.fixture
def start(start_server, line):
    return lambda *arguments, **more: start_server(
        "--programs", "icmp", "--interface", "veth0", "--log-level", "info", *arguments,
        namespace=line.near, **more)


def ping(namespace, destination, count, identifier=0x4242):
    """Echo requests by a raw socket; returns when all replies have come."""
    with socket_in(namespace, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender:
        sender.settimeout(10)
        for number in range(count):
            sender.sendto(packets.icmp_echo(identifier, number), (destination, 0))
            wanted = struct.pack("!HH", identifier, number)
            while True:
                answer = sender.recv(2048)
                if answer[20] == 0 and answer[24:28] == wanted:
                    break


def echo(line, number, reply, leaving):
    ends = {"src_ip": line.NEAR, "dst_ip": line.FAR} if leaving else {
        "src_ip": line.FAR, "dst_ip": line.NEAR}
    owner = {"uid": 0, "cgroup_id": cgroup_id() if not reply else 1} if leaving else {}
    return ends | owner | {
        "icmp_type": 0 if reply else 8, "icmp_code": 0, "icmp_id": 0x4242, "icmp_seq": number,
        "icmp_message": "ECHO_REPLY" if reply else "ECHO_REQUEST", "ttl": 64,
        "packet_size_bytes": 28, "interface": "veth0", "interface_index": line.index,
        "direction": "egress" if leaving else "ingress"}


def test_requests_and_the_kernels_replies(start, line):
    server = start()
    ping(line.far, line.NEAR, PINGS)
    events = server.events("icmp", 2 * PINGS)
    for number in range(PINGS):
        assert_icmp(events[2 * number], **echo(line, number, reply=False, leaving=False))
        assert_icmp(events[2 * number + 1], **echo(line, number, reply=True, leaving=True))


def test_own_requests_name_their_owner(start, line):
    server = start()
    ping(line.near, line.FAR, PINGS)
    events = server.events("icmp", 2 * PINGS)
    for number in range(PINGS):
        assert_icmp(events[2 * number], **echo(line, number, reply=False, leaving=True))
        assert_icmp(events[2 * number + 1], **echo(line, number, reply=True, leaving=False))
    assert len(server.events("icmp", PINGS, uid=0)) == PINGS
    assert len(server.events("icmp", PINGS, direction="ingress", icmp_message="ECHO_REPLY",
                             src_ip=f"{line.FAR}/32", icmp_seq="0..100")) == PINGS
    assert server.api("/api/events", type="icmp", pid="0..")["total_count"] == 0


def test_another_owner(start, line):
    server = start()
    with inside(line.near):
        child = os.fork()
        if child == 0:
            try:
                sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
                os.setresuid(4711, 4711, 4711)
                # The socket's owner is who made it.
                sender.sendto(packets.icmp_echo(1, 1), (line.FAR, 0))
                os._exit(0)
            finally:
                os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert server.events("icmp", 1, direction="egress")[0]["uid"] == 0


def test_on_the_loopback(start_server, line):
    server = start_server("--programs", "icmp", "--interface", "lo", namespace=line.near)
    ping(line.near, "127.0.0.1", 1)
    events = server.events("icmp", 4)
    assert [(event["direction"], event["icmp_message"]) for event in events] == [
        ("egress", "ECHO_REQUEST"), ("ingress", "ECHO_REQUEST"),
        ("egress", "ECHO_REPLY"), ("ingress", "ECHO_REPLY")]
    assert {event["interface"] for event in events} == {"lo"}


def received(namespace):
    """Packets that veth0 has taken from the wire."""
    with inside(namespace), open("/proc/thread-self/net/dev", encoding="ascii") as file:
        [counts] = [line.split() for line in file if line.strip().startswith("veth0:")]
    return int(counts[2])


@pytest.mark.parametrize("ring", ["4MiB", "64KiB"])
def test_a_flood_is_stored_or_counted(start, line, ring):
    """In both directions at once: the near kernel answers each request that it takes."""
    server = start("--ring", ring)
    before = received(line.near)
    request = line.frame(line.far, packets.ipv4(line.FAR, line.NEAR, packets.ICMP,
                                                packets.icmp_echo(7, 7)))
    line.wires[line.far].send(request, FLOOD)
    arrived = received(line.near) - before
    assert 0 < arrived <= FLOOD
    leaving = packets.ipv4("192.0.2.1", "192.0.2.2", packets.ICMP, packets.icmp_echo(8, 8))
    line.wires[line.near].send(line.frame(line.near, leaving), FLOOD)
    # Requests that came, ours that left, and the kernel's answers: it may send fewer of those.
    counts = settled_ledger(server, "icmp", lambda now: now["produced"] >= arrived + FLOOD)
    stored = {}
    for name, filters in (("came", {"src_ip": line.FAR}), ("left", {"src_ip": "192.0.2.1"}),
                          ("answered", {"src_ip": line.NEAR})):
        stored[name] = server.api("/api/events", type="icmp", limit=1, **filters)["total_count"]
    print(f"ring {ring}: {arrived} of {FLOOD} arrived; ledger {counts}; held {stored}")
    assert sum(stored.values()) == counts["held"]
    assert stored["came"] <= arrived and stored["left"] <= FLOOD
    if counts["lost"] == 0:
        assert stored["came"] == arrived and stored["left"] == FLOOD
        assert counts["produced"] == arrived + FLOOD + stored["answered"]


def test_frames_in_pieces(network, start_server):
    """Jumbo frames come to XDP, and go to tc, in several pieces of memory; the first may hold the
    Ethernet header alone."""
    line = Line(network)
    for namespace in (line.near, line.far):
        namespace.ip("link", "set", "veth0", "mtu", "9000")
    server = start_server("--programs", "icmp", "--interface", "veth0", namespace=line.near)
    assert server.api("/api/programs/icmp")["interfaces"][0]["mode"] == "xdp native"
    large = packets.ipv4(line.FAR, line.NEAR, packets.ICMP,
                         packets.icmp(8, 0, b"\0\1\0\2", os.urandom(8000)))
    frames = {line.far: line.frame(line.far, large), line.near: line.frame(line.near, large)}
    for sender, frame in frames.items():
        with Tap(line.other(sender)) as tap, \
                socket_in(sender, socket.AF_PACKET, socket.SOCK_RAW) as pieces:
            pieces.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
            pieces.bind(("veth0", 0))
            # struct virtio_net_hdr: `hdr_len` is how much comes in one piece.
            pieces.send(struct.pack("=BBHHHH", 0, 0, 14, 0, 0, 0) + frame)
            assert tap.receive() == frame
    events = [event for event in server.events("icmp", 3) if event["icmp_type"] == 8]
    assert [event["direction"] for event in events] == ["ingress", "egress"]
    for event in events:
        assert (event["icmp_id"], event["icmp_seq"]) == (1, 2)
        assert (event["packet_size_bytes"], event["malformed"]) == (len(large), False)
    line.close()


def test_a_tunnel_has_no_ethernet(start_server, line):
    try:
        with inside(line.near):  # the tunnel will be where the file was opened
            tunnel = os.open("/dev/net/tun", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no tunnels here: /dev/net/tun: {error.strerror}")
    try:
        with inside(line.near):
            fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN | IFF_NO_PI))
        line.near.ip("link", "set", "tun0", "up")
        line.near.ip("address", "add", "10.78.0.1/24", "dev", "tun0")
        server = start_server("--programs", "icmp", "--interface", "tun0", "--log-level", "info",
                              namespace=line.near)
        program = server.api("/api/programs/icmp")
        assert program["interfaces"] == [
            {"name": "tun0", "direction": "ingress", "mode": "tcx",
             "reason": "XDP: no Ethernet header there"},
            {"name": "tun0", "direction": "egress", "mode": "tcx", "reason": None}]
        since = boot_ns()
        os.write(tunnel, packets.ipv4("10.78.0.2", "10.78.0.1", packets.UDP,
                                      packets.udp("10.78.0.2", "10.78.0.1", 1, 2)))
        # The kernel says that nobody listens there: the packet that leaves holds the one that came.
        [event] = server.events("icmp", 1, timestamp=f"{since}..")
        assert_icmp(event, src_ip="10.78.0.1", dst_ip="10.78.0.2", ttl=64, icmp_type=3, icmp_code=3,
                    icmp_message="DESTINATION_UNREACHABLE", original_dst_ip="10.78.0.1",
                    original_protocol="UDP", interface="tun0", packet_size_bytes=56,
                    interface_index=line.near.interface_index("tun0"), direction="egress", uid=0,
                    cgroup_id=1)
        since = boot_ns()
        os.write(tunnel, packets.ipv4("10.78.0.2", "10.78.0.1", packets.ICMP,
                                      packets.icmp_echo(3, 4)))
        request, reply = server.events("icmp", 2, timestamp=f"{since}..")
        assert [(event["direction"], event["icmp_type"], event["icmp_seq"])
                for event in (request, reply)] == [("ingress", 8, 4), ("egress", 0, 4)]
    finally:
        os.close(tunnel)


def test_sampling(start, line):
    server = start("--set", "icmp.sample=4")
    frame = line.frame(line.far, packets.ipv4("192.0.2.1", "192.0.2.9", packets.ICMP,
                                              packets.icmp_echo(7, 7)))
    line.wires[line.far].send(frame, 1009)
    counts = settled_ledger(server, "icmp", lambda now: now["produced"] == 1009)
    assert counts["sampled_out"] + counts["stored"] == 1009
    assert 150 < counts["stored"] < 350


def test_printed_without_a_process(start, line):
    server = start("--print")
    ping(line.far, line.NEAR, 1)
    server.events("icmp", 2)
    server.stop()
    first = server.output[0].decode()
    assert first.split(" ", 2)[1] == "icmp" and "[" not in first
    assert f"src_ip={line.FAR} " in first and "icmp_message=ECHO_REQUEST" in first
