# SPDX-License-Identifier: MIT
"""packet_drop: packets that are odd or broken. What they say is told; what they lack is null, and
never made up from what the memory behind them held."""
import os
import socket

import pytest

from harness import packets
from harness.expect import assert_drop, this_process
from harness.lab import CLOSED, PORT, Lab, drops
from harness.kernel import boot_ns
from harness.sockets import Wire, mac_of

COUNT = 101
FRAME = b"nothing that is known here" + bytes(40)

versions = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture(scope="module")
def server(shared_server):
    return shared_server


@pytest.fixture
def lab(server, netns):
    """Full packets go first, so that there is something in memory to be made up from."""
    with Lab(*netns) as made:
        for version in (4, 6):
            made.inject(made.udp(version, b"\x33" * 700, port=4444), 31)
        made.dropped(server, 62, destination_port=4444)
        made.since = boot_ns()
        yield made


def frame_fields(lab, size, ether_type, protocol):
    return {"network_namespace": lab.other.inode, "interface": "veth0", "ether_type": ether_type,
            "protocol": protocol, "skb_length": size, "packet_size_bytes": size}


# ---- headers that are cut off ----

@versions
@pytest.mark.parametrize("size", [1, 3, 19])
def test_less_than_a_header(server, lab, version, size):
    packet = lab.udp(version)[:size]
    lab.inject(packet, COUNT, ethertype=packets.ETHERTYPE_IPV4 if version == 4
               else packets.ETHERTYPE_IPV6)
    name = "IP" if version == 4 else "IPV6"
    for event in lab.dropped(server, COUNT, drop_reason="IP_INHDR", ether_type=name):
        assert_drop(event, "IP_INHDR", **frame_fields(lab, size, name, "LINK"))


@versions
@pytest.mark.parametrize("protocol, name", [(packets.TCP, "TCP"), (packets.UDP, "UDP")])
@pytest.mark.parametrize("size", [0, 1, 3])
def test_less_than_ports(start_server, lab, version, protocol, name, size):
    """There are no ports, so there are none in the event."""
    server = start_server("--programs", "packet_drop",
                          "--set", "packet_drop.include_unspecified=1")
    source, destination = lab.ENDS[version]
    packet = packets.ip(source, destination, protocol, b"\x11" * size)
    lab.inject(packet, 7)
    events = lab.dropped(server, 7, source_ip=source, destination_ip=destination)
    for event in events:
        assert event["drop_reason"] in ("NOT_SPECIFIED", "PKT_TOO_SMALL")
        assert_drop(event, event["drop_reason"], skb_length=size, protocol=name,
                    **lab.expected(version, packet))


@versions
def test_ports_and_no_more(start_server, lab, version):
    server = start_server("--programs", "packet_drop",
                          "--set", "packet_drop.include_unspecified=1")
    source, destination = lab.ENDS[version]
    packet = packets.ip(source, destination, packets.UDP, b"\x03\xe9\x03\xeb")
    lab.inject(packet, 7)
    for event in lab.dropped(server, 7, source_ip=source, destination_ip=destination):
        assert_drop(event, event["drop_reason"], skb_length=4, protocol="UDP", source_port=1001,
                    destination_port=1003, **lab.expected(version, packet))


# ---- headers that lie ----

@versions
def test_udp_lengths_that_lie(server, lab, version):
    for length in (7, 14):
        packet = lab.udp(version, length=length)
        lab.inject(packet, 3)
        events = lab.dropped(server, 3 if length == 7 else 6, source_ip=lab.ENDS[version][0])
        for event in events:
            assert_drop(event, "PKT_TOO_SMALL",
                        **lab.expected_udp(version, packet, skb_length=13))


@versions
def test_tcp_header_length_that_lies(server, lab, version):
    source, destination = lab.ENDS[version]
    segment = packets.tcp(source, destination, PORT, CLOSED, packets.SYN, header_words=4)
    packet = packets.ip(source, destination, packets.TCP, segment)
    lab.inject(packet, 13)
    lab.check(server, version, 13, "PKT_TOO_SMALL", skb_length=20, protocol="TCP",
              source_port=PORT, destination_port=CLOSED, **lab.expected(version, packet))


@pytest.mark.parametrize("lie, reason, fields", [
    ({"total_length": 19}, "IP_INHDR", {"packet_size_bytes": 19}),
    ({"total_length": 1901}, "PKT_TOO_SMALL", {"packet_size_bytes": 1901}),
    ({"total_length": 65535}, "PKT_TOO_SMALL", {"packet_size_bytes": 65535}),
    # A header shorter than a header, or longer than the packet, says nothing of where ports are.
    ({"header_words": 4}, "IP_INHDR", {"source_port": None, "destination_port": None}),
    ({"header_words": 0}, "IP_INHDR", {"source_port": None, "destination_port": None}),
    ({"header_words": 15}, "IP_INHDR", {"source_port": None, "destination_port": None}),
])
def test_ipv4_headers_that_lie(server, lab, lie, reason, fields):
    packet = lab.udp(4, **lie)
    lab.inject(packet, 17)
    lab.check(server, 4, 17, reason,
              **lab.expected_udp(4, packet, skb_length=len(packet)) | fields)


def test_ipv6_length_that_lies(server, lab):
    packet = lab.udp(6, payload_length=1901)
    lab.inject(packet, 17)
    lab.check(server, 6, 17, "PKT_TOO_SMALL",
              **lab.expected_udp(6, packet, skb_length=len(packet), packet_size_bytes=1941))


@versions
def test_a_version_that_lies(server, lab, version):
    """What the frame calls IP is none: no address of it can be believed."""
    packet = lab.udp(version)
    packet = bytes([0x50 | packet[0] & 0x0f]) + packet[1:]
    lab.inject(packet, 17, ethertype=packets.ETHERTYPE_IPV4 if version == 4
               else packets.ETHERTYPE_IPV6)
    name = "IP" if version == 4 else "IPV6"
    # The kernel's name for it is another in each family.
    reason = "IP_INHDR" if version == 4 else "UNHANDLED_PROTO"
    for event in lab.dropped(server, 17, ether_type=name, protocol="LINK"):
        assert_drop(event, reason, **frame_fields(lab, len(packet), name, "LINK"))


def test_padding_does_not_count(server, lab):
    """Frames are filled up to 60 bytes on a real wire: the header says what belongs to it."""
    packet = lab.udp(4)
    lab.inject(packet + bytes(29), 13)
    lab.check(server, 4, 13, "NO_SOCKET", **lab.expected_udp(4, packet, skb_length=13))


def test_ipv4_options(server, lab):
    packet = lab.udp(4, options=b"\x01" * 39 + b"\x00")
    lab.inject(packet, 13)
    lab.check(server, 4, 13, "NO_SOCKET", **lab.expected_udp(4, packet, skb_length=13))


# ---- IPv6 extension headers ----

HOP, ROUTE, OPTIONS, FRAGMENT, UDP = (packets.HOP_BY_HOP, packets.ROUTING,
                                      packets.DESTINATION_OPTIONS, packets.FRAGMENT, packets.UDP)


def chain(lab, *headers, payload=None):
    """An IPv6 packet with these extension headers, of 8 or 24 bytes in turn, before its UDP."""
    source, destination = lab.ENDS[6]
    if payload is None:
        payload = packets.udp(source, destination, PORT, CLOSED, b"hello")
    following = UDP
    for place, header in enumerate(reversed(headers)):
        if header == FRAGMENT:
            payload = packets.ipv6_fragment(following, 0, False) + payload
        elif header == ROUTE:  # type 0, no segments left: passed on
            payload = bytes([following, 0, 4, 0, 0, 0, 0, 0]) + payload
        else:
            payload = packets.ipv6_options(following, 24 if place % 2 else 8) + payload
        following = header
    return packets.ipv6(source, destination, following, payload)


@pytest.mark.parametrize("headers", [
    (HOP,), (OPTIONS,), (HOP, OPTIONS), (FRAGMENT,), (HOP, OPTIONS, FRAGMENT, OPTIONS),
])
def test_extension_headers(server, lab, headers):
    packet = chain(lab, *headers)
    lab.inject(packet, 13)
    events = lab.dropped(server, 13, source_ip=lab.ENDS[6][0])
    for event in events:
        assert_drop(event, "NO_SOCKET",
                    **lab.expected_udp(6, packet, skb_length=13))


def test_extension_headers_more_than_are_looked_at(server, lab):
    """Past the sixth the search ends: the protocol is the header it ended at, without ports."""
    packet = chain(lab, HOP, *[OPTIONS] * 7)
    lab.inject(packet, 13)
    for event in lab.dropped(server, 13, source_ip=lab.ENDS[6][0]):
        assert_drop(event, event["drop_reason"], protocol="60", skb_length=event["skb_length"],
                    **lab.expected(6, packet))


def test_an_extension_header_that_lies(start_server, lab):
    """It says that it ends far behind the packet."""
    server = start_server("--programs", "packet_drop",
                          "--set", "packet_drop.include_unspecified=1")
    source, destination = lab.ENDS[6]
    header = bytes([UDP, 80, 1, 4, 0, 0, 0, 0])
    packet = packets.ipv6(source, destination, HOP, header + b"\x11" * 13)
    lab.inject(packet, 7)
    for event in lab.dropped(server, 7, source_ip=source, destination_ip=destination):
        assert_drop(event, event["drop_reason"], protocol="UDP", skb_length=len(packet),
                    **lab.expected(6, packet))


def test_no_next_header(start_server, lab):
    server = start_server("--programs", "packet_drop",
                          "--set", "packet_drop.include_unspecified=1")
    source, destination = lab.ENDS[6]
    packet = packets.ipv6(source, destination, packets.NO_NEXT_HEADER, b"1234")
    lab.inject(packet, 7)
    for event in lab.dropped(server, 7, source_ip=source, protocol="59"):
        assert_drop(event, event["drop_reason"], protocol="59", skb_length=event["skb_length"],
                    **lab.expected(6, packet))


# ---- fragments ----

def fragments(lab, version, identification):
    """The first, which holds the ports, and the second, which does not."""
    source, destination = lab.ENDS[version]
    datagram = packets.udp(source, destination, PORT, CLOSED, b"f" * 40)
    if version == 4:
        return [packets.ipv4(source, destination, UDP, datagram[:24], fragment=0x2000,
                             identification=identification),
                packets.ipv4(source, destination, UDP, datagram[24:], fragment=24 // 8,
                             identification=identification)]
    return [packets.ipv6(source, destination, FRAGMENT,
                         packets.ipv6_fragment(UDP, 0, True, identification) + datagram[:24]),
            packets.ipv6(source, destination, FRAGMENT,
                         packets.ipv6_fragment(UDP, 24, False, identification) + datagram[24:])]


@versions
def test_only_the_first_fragment_has_ports(server, lab, version):
    lab.other.nft("table netdev t {\n chain c {\n"
                  " type filter hook ingress device veth0 priority 0\n"
                  f" ether type {'ip' if version == 4 else 'ip6'} drop\n }}\n}}\n")
    for packet in fragments(lab, version, 7):
        lab.inject(packet, 11)
    first, second = fragments(lab, version, 7)
    events = lab.dropped(server, 22, source_ip=lab.ENDS[version][0])
    for event in events[:11]:
        assert_drop(event, "NETFILTER_DROP",
                    **lab.expected_udp(version, first, skb_length=len(first)))
    for event in events[11:]:
        assert_drop(event, "NETFILTER_DROP", protocol="UDP", skb_length=len(second),
                    **lab.expected(version, second))


@versions
def test_fragments_put_together(server, lab, version):
    """Its size is that of the whole; a fragment header is gone by then."""
    first, second = fragments(lab, version, 8)
    lab.inject(second)
    lab.inject(first)
    header = 20 if version == 4 else 40
    lab.check(server, version, 1, "NO_SOCKET",
              **lab.expected_udp(version, first, skb_length=48, packet_size_bytes=header + 48))


@versions
def test_a_fragment_that_came_twice(server, lab, version):
    """The second copy is dropped each time; which reason is the kernel's affair by family."""
    first, _ = fragments(lab, version, 9)
    lab.inject(first, 1 + 7)
    events = lab.dropped(server, 7, source_ip=lab.ENDS[version][0])
    for event in events:
        assert_drop(event, "DUP_FRAG",
                    **lab.expected_udp(version, first, skb_length=event["skb_length"]))


def test_a_fragment_whose_rest_never_comes(server, lab):
    """Dropped by a timer, whoever was interrupted by it."""
    lab.other.sysctl("net.ipv4.ipfrag_time", 1)
    first, _ = fragments(lab, 4, 10)
    lab.inject(first)
    lab.check(server, 4, 1, "FRAG_REASM_TIMEOUT", **lab.expected_udp(4, first, skb_length=24))


# ---- frames that are no IP ----

@pytest.mark.parametrize("ethertype, name", [(0x88b5, "34997"), (0x8137, "IPX"),
                                             (0x88cc, "LLDP"), (0x8863, "PPP_DISC")])
def test_ethertypes_that_nobody_takes(server, lab, ethertype, name):
    lab.inject(FRAME, COUNT, ethertype=ethertype)
    for event in lab.dropped(server, COUNT, drop_reason="UNHANDLED_PROTO", ether_type=name):
        assert_drop(event, "UNHANDLED_PROTO", **frame_fields(lab, len(FRAME), name, "LINK"))


def test_arp_that_is_cut_off(server, lab):
    request = packets.arp_request(lab.wire.mac, "10.77.0.1", "10.77.0.2")[:20]
    lab.inject(request, COUNT, ethertype=packets.ETHERTYPE_ARP)
    for event in lab.dropped(server, COUNT, protocol="ARP"):
        assert_drop(event, "PKT_TOO_SMALL", **frame_fields(lab, 20, "ARP", "ARP"))


def test_arp_that_a_firewall_drops(server, lab):
    lab.other.nft("table arp t {\n chain c {\n type filter hook input priority 0\n drop\n }\n}\n")
    request = packets.arp_request(lab.wire.mac, "10.77.0.9", "10.77.0.2")
    lab.inject(request, COUNT, ethertype=packets.ETHERTYPE_ARP)
    for event in lab.dropped(server, COUNT, protocol="ARP", drop_reason="NETFILTER_DROP"):
        assert_drop(event, "NETFILTER_DROP", **frame_fields(lab, 28, "ARP", "ARP"))


def test_a_unix_datagram_that_nobody_read(server):
    """No packet at all, but a buffer with bytes that got lost."""
    since = boot_ns()
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for _ in range(7):
        one.send(b"eleven byte")
    other.close()
    one.close()
    events = server.events("packet_drop", 7, protocol="UNIX", pid=this_process()["pid"],
                           timestamp=f"{since}..")
    for event in events:
        assert_drop(event, "SOCKET_CLOSE", **this_process(), protocol="UNIX", skb_length=11,
                    packet_size_bytes=11, network_namespace=os.stat("/proc/self/ns/net").st_ino)


# ---- names of interfaces ----

@pytest.mark.parametrize("name", ["fifteen-letters", "q\"\\<&>'{}", "\u00e9\u00e8-\u4e2d"])
def test_odd_names_of_interfaces(server, network, name):
    since = boot_ns()
    one, other = network.namespace(), network.namespace()
    network.veth(one, other, ["10.77.0.1/24"], ["10.77.0.2/24"], names=("veth0", name))
    datagram = packets.udp("10.77.0.1", "10.77.0.2", PORT, CLOSED, b"x")
    packet = packets.ip("10.77.0.1", "10.77.0.2", packets.UDP, datagram)
    with Wire(one) as wire:
        wire.send(packets.ethernet(mac_of(other, name), wire.mac, packets.ETHERTYPE_IPV4,
                                   packet), 7)
    for event in drops(server, other, since, 7, source_ip="10.77.0.1"):
        assert_drop(event, "NO_SOCKET", network_namespace=other.inode, interface=name,
                    ether_type="IP", protocol="UDP", source_ip="10.77.0.1",
                    destination_ip="10.77.0.2", source_port=PORT, destination_port=CLOSED,
                    skb_length=9, packet_size_bytes=29)
    escaped = name.replace("\\", "\\\\")
    server.events("packet_drop", 7, interface=escaped, timestamp=f"{since}..", protocol="UDP")
