# SPDX-License-Identifier: MIT
"""packet_drop: packets that reach their protocol or socket and go no further."""
import ctypes
import errno
import os
import socket
import struct

import pytest

from harness import packets
from harness.expect import assert_drop, this_process
from harness.kernel import boot_ns
from harness.lab import CLOSED, PORT, Lab, drops, transport_length
from harness.sockets import socket_in

SO_ATTACH_FILTER = 26  # include/uapi/asm-generic/socket.h
COUNT = 101
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
LOOPBACK = {4: "127.0.0.1", 6: "::1"}


@pytest.fixture(scope="module")
def server(shared_server):
    return shared_server


@pytest.fixture
def lab(netns):
    with Lab(*netns) as made:
        yield made


versions = pytest.mark.parametrize("version", [4, 6])


# ---- nobody there ----

@versions
def test_udp_to_a_closed_port_over_a_wire(server, lab, version):
    packet = lab.udp(version)
    lab.inject(packet, COUNT)
    lab.check(server, version, COUNT, "NO_SOCKET",
              **lab.expected_udp(version, packet, skb_length=transport_length(version, packet)))


@versions
def test_udp_to_a_closed_port_over_loopback(server, network, version):
    since, ip = boot_ns(), LOOPBACK[version]
    namespace = network.namespace()
    with socket_in(namespace, FAMILY[version], socket.SOCK_DGRAM) as sender:
        sender.bind((ip, 0))
        port = sender.getsockname()[1]
        for _ in range(COUNT):
            sender.sendto(b"seven b", (ip, CLOSED))
    for event in drops(server, namespace, since, COUNT):
        assert_drop(event, "NO_SOCKET", skb_length=15,
                    packet_size_bytes=15 + (20 if version == 4 else 40),
                    network_namespace=namespace.inode, interface="lo", protocol="UDP",
                    ether_type="IP" if version == 4 else "IPV6", source_ip=ip, destination_ip=ip,
                    source_port=port, destination_port=CLOSED)


@versions
@pytest.mark.parametrize("size", [0, 1, 1459, 60_000])
def test_sizes(server, lab, version, size):
    """The largest is more than one frame: it is put together again before it is dropped."""
    source, destination = lab.ENDS[version]
    with socket_in(lab.one, FAMILY[version], socket.SOCK_DGRAM) as sender:
        sender.bind((source, PORT))
        sender.sendto(bytes(size), (destination, CLOSED))
    header = 20 if version == 4 else 40
    [event] = lab.dropped(server, 1, source_ip=source, destination_ip=destination)
    assert_drop(event, "NO_SOCKET", network_namespace=lab.other.inode, interface="veth0",
                ether_type="IP" if version == 4 else "IPV6", protocol="UDP", source_ip=source,
                destination_ip=destination, source_port=PORT, destination_port=CLOSED,
                skb_length=8 + size, packet_size_bytes=header + 8 + size)


@versions
def test_tcp_to_a_closed_port(server, lab, version, trigger):
    """The SYN is dropped there; here, the RST that answers it is taken by the socket."""
    source, destination = lab.ENDS[version]
    address = f"[{destination}]:7" if version == 6 else f"{destination}:7"
    made = trigger(f"tcp{version}", address, namespace=lab.one, count=13)
    assert {call.return_code for call in made.calls} == {-errno.ECONNREFUSED}
    events = lab.dropped(server, 13, source_ip=source, destination_ip=destination)
    ports = {event["source_port"] for event in events}
    assert len(ports) == 13
    for event in events:
        length = event["skb_length"]
        assert length in range(20, 61)  # its options are the kernel's choice
        assert_drop(event, "NO_SOCKET", network_namespace=lab.other.inode, interface="veth0",
                    ether_type="IP" if version == 4 else "IPV6", protocol="TCP",
                    source_ip=source, destination_ip=destination, destination_port=7,
                    source_port=event["source_port"], skb_length=length,
                    packet_size_bytes=length + (20 if version == 4 else 40))


@versions
def test_the_answer_that_nobody_waits_for(server, lab, version):
    """A SYN by hand: the RST comes back to a port where there is no socket either."""
    source, destination = lab.ENDS[version]
    segment = packets.tcp(source, destination, PORT, CLOSED, packets.SYN)
    packet = packets.ip(source, destination, packets.TCP, segment)
    lab.inject(packet, 17)
    lab.check(server, version, 17, "NO_SOCKET", skb_length=20, protocol="TCP", source_port=PORT,
              destination_port=CLOSED, **lab.expected(version, packet))
    for event in lab.dropped(server, 17, namespace=lab.one, protocol="TCP"):
        assert_drop(event, "NO_SOCKET", skb_length=20, protocol="TCP", source_port=CLOSED,
                    destination_port=PORT,
                    **lab.expected(version, packet, network_namespace=lab.one.inode,
                                   source_ip=destination, destination_ip=source))


@versions
@pytest.mark.parametrize("number", [253, 143])
def test_a_protocol_that_nobody_speaks(server, lab, version, number):
    source, destination = lab.ENDS[version]
    packet = packets.ip(source, destination, number, b"eleven byte")
    lab.inject(packet, COUNT)
    lab.check(server, version, COUNT, "IP_NOPROTO", skb_length=11, protocol=str(number),
              **lab.expected(version, packet))


@versions
@pytest.mark.parametrize("number, name", [(132, "SCTP"), (33, "DCCP")])
def test_ports_of_protocols_that_this_kernel_lacks(server, lab, version, number, name):
    source, destination = lab.ENDS[version]
    packet = packets.ip(source, destination, number, struct.pack("!HHQ", 1019, 1021, 0))
    lab.inject(packet, 7)
    events = lab.dropped(server, 7, source_ip=source, destination_ip=destination)
    if {event["drop_reason"] for event in events} != {"IP_NOPROTO"}:
        pytest.skip(f"this kernel speaks {name}")
    for event in events:
        assert_drop(event, "IP_NOPROTO", skb_length=12, protocol=name, source_port=1019,
                    destination_port=1021, **lab.expected(version, packet))


# ---- checksums ----

@versions
def test_udp_checksum(server, lab, version):
    packet = lab.udp(version, correct=False)
    lab.inject(packet, COUNT)
    lab.check(server, version, COUNT, "UDP_CSUM",
              **lab.expected_udp(version, packet, skb_length=transport_length(version, packet)))


@versions
def test_tcp_checksum(server, lab, version):
    source, destination = lab.ENDS[version]
    segment = packets.tcp(source, destination, PORT, CLOSED, packets.SYN, correct=False)
    packet = packets.ip(source, destination, packets.TCP, segment)
    lab.inject(packet, COUNT)
    lab.check(server, version, COUNT, "TCP_CSUM", skb_length=20, protocol="TCP",
              source_port=PORT, destination_port=CLOSED, **lab.expected(version, packet))


def test_ip_checksum(server, lab):
    packet = lab.udp(4, correct=True)
    spoilt = packet[:10] + bytes([packet[10] ^ 0x55]) + packet[11:]
    lab.inject(spoilt, COUNT)
    lab.check(server, 4, COUNT, "IP_CSUM", **lab.expected_udp(4, packet, skb_length=len(packet)))


def test_icmp_checksum(server, lab):
    source, destination = lab.ENDS[4]
    packet = packets.ip(source, destination, socket.IPPROTO_ICMP,
                        packets.icmp_echo(7, 11, correct=False))
    lab.inject(packet, COUNT)
    lab.check(server, 4, COUNT, "ICMP_CSUM", skb_length=8, protocol="ICMP",
              **lab.expected(4, packet))


@versions
def test_checksum_that_only_the_reader_looks_at(server, lab, version):
    """Of a long datagram the checksum is verified while it is copied to its reader, who therefore
    drops it. The kernel keeps other things than the device in the buffer by then."""
    source, destination = lab.ENDS[version]
    with socket_in(lab.other, FAMILY[version], socket.SOCK_DGRAM) as reader:
        reader.bind((destination, CLOSED))
        reader.setblocking(False)
        packet = lab.udp(version, b"x" * 499, correct=False)
        lab.inject(packet, 3)
        with pytest.raises(BlockingIOError):
            reader.recv(1000)
    events = server.events("packet_drop", 3, timestamp=f"{lab.since}..", source_ip=source,
                           destination_ip=destination, source_port=PORT, pid=os.getpid())
    for event in events:
        assert_drop(event, "UDP_CSUM", **this_process(),
                    **lab.expected_udp(version, packet, interface=None, network_namespace=None,
                                       skb_length=499))


# ---- sockets that do not take it ----

@versions
def test_a_full_socket(server, lab, version):
    """What the reader finds in the queue and what was dropped make what was sent."""
    sent = 1009
    with socket_in(lab.other, FAMILY[version], socket.SOCK_DGRAM) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        reader.bind((lab.ENDS[version][1], CLOSED))
        reader.setblocking(False)
        packet = lab.udp(version, b"x" * 31)
        lab.inject(packet, sent)
        taken = 0
        try:
            while reader.recv(100):
                taken += 1
        except BlockingIOError:
            pass
    assert 0 < taken < sent
    lab.check(server, version, sent - taken, "SOCKET_RCVBUFF",
              **lab.expected_udp(version, packet, skb_length=31))


@versions
def test_a_socket_s_own_filter(server, lab, version):
    nothing = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET 0
    program = struct.pack("@HP", 1, ctypes.addressof(nothing))
    with socket_in(lab.other, FAMILY[version], socket.SOCK_DGRAM) as reader:
        reader.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        reader.bind((lab.ENDS[version][1], CLOSED))
        packet = lab.udp(version)
        lab.inject(packet, COUNT)
        lab.check(server, version, COUNT, "SOCKET_FILTER",
                  **lab.expected_udp(version, packet, skb_length=13))


def test_a_segment_out_of_a_tcp_socket_s_tree(server, lab):
    """Segments that came too early wait in a tree whose links lie where the device was. One that
    is replaced by a longer one is dropped: its device must not be made up from those links."""
    ip, destination = "10.77.0.9", "10.77.0.2"  # nobody's address: no stack answers there
    lab.other.ip("neighbour", "add", ip, "lladdr", lab.wire.mac.hex(":"), "dev", "veth0")

    def send(flags, sequence, acknowledgement=0, size=0):
        segment = packets.tcp(ip, destination, PORT, CLOSED, flags, sequence, acknowledgement,
                              payload=b"d" * size)
        packet = packets.ip(ip, destination, packets.TCP, segment)
        lab.inject(packet)
        return packet

    with socket_in(lab.other, socket.AF_INET, socket.SOCK_STREAM) as listener, \
            socket_in(lab.one, socket.AF_PACKET, socket.SOCK_DGRAM) as tap:
        listener.bind((destination, CLOSED))
        listener.listen(3)
        tap.bind(("veth0", packets.ETHERTYPE_IPV4))
        tap.settimeout(10)
        send(packets.SYN, 1000)
        answer = tap.recv(2000)
        while answer[9] != packets.TCP or answer[33] != packets.SYN | packets.ACK:
            answer = tap.recv(2000)
        theirs = struct.unpack("!I", answer[24:28])[0] + 1
        send(packets.ACK, 1001, theirs)
        accepted, _ = listener.accept()
        with accepted:
            replaced = send(packets.ACK, 4001, theirs, 10)
            for sequence in (2001, 6001):  # its children
                send(packets.ACK, sequence, theirs, 10)
            send(packets.ACK, 4001, theirs, 20)
            [event] = lab.dropped(server, 1, source_ip=ip, drop_reason="TCP_OFOMERGE")
    assert_drop(event, "TCP_OFOMERGE", skb_length=10, protocol="TCP", source_port=PORT,
                destination_port=CLOSED,
                **lab.expected(4, replaced, source_ip=ip, interface=None))
