# SPDX-License-Identifier: MIT
"""Every shape of packet, byte by byte, by each hook: XDP and tc as they come, tc as they leave."""
import struct

import pytest

from harness import packets
from harness.fixtures import servers
from harness.icmp import Line, Tap, assert_icmp
from harness.kernel import boot_ns, cgroup_id
from harness.network import Network
from harness.packets import (DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6,
                             MORE_FRAGMENTS, ROUTING, TCP, UDP)
from harness.processes import settled_ledger

A, B = "192.0.2.1", "192.0.2.2"
A6, B6, C6 = "2001:db8::1", "2001:db8::2", "2001:db8:ffff::3"
REST = struct.pack("!HH", 0x1234, 0x0567)
ID = {"icmp_id": 0x1234, "icmp_seq": 0x0567}
V4 = {"src_ip": A, "dst_ip": B, "ttl": 64}
V6 = {"src_ip": A6, "dst_ip": B6, "ttl": 64}
ECHO = {"icmp_type": 8, "icmp_code": 0, "icmp_message": "ECHO_REQUEST"} | ID
ECHO6 = {"icmp_type": 128, "icmp_code": 0, "icmp_message": "ECHO_REQUEST"} | ID
PING = packets.icmp(8, 0, REST, b"payload")
PING6 = packets.icmpv6(A6, B6, 128, 0, REST, b"payload")
ETHERNET_MINIMUM = 60


def shape(packet, ethertype=None, before=b"", after=b"", **fields):
    """What a frame carries, VLAN tags before and padding after; and what its event says."""
    return (ethertype or packets.ethertype_of(packet), before + packet + after,
            {"packet_size_bytes": len(packet)} | fields)


def v4(message=PING, protocol=ICMP, before=b"", after=b"", ethertype=None, fields=None,
       **options):
    """An IPv4 packet; `fields` are those besides addresses, or all of the message's."""
    packet = packets.ipv4(A, B, protocol, message, **options)
    return shape(packet, ethertype, before, after, **(V4 | (ECHO if fields is None else fields)))


def v6(message=PING6, next_header=ICMPV6, before=b"", after=b"", ethertype=None, fields=None,
       **options):
    packet = packets.ipv6(A6, B6, next_header, message, **options)
    return shape(packet, ethertype, before, after, **(V6 | (ECHO6 if fields is None else fields)))


def message(type, code, name, rest=REST, payload=b"", **fields):
    """Of ICMP, with the fields of a message that has no identifier unless they say so."""
    return v4(packets.icmp(type, code, rest, payload),
              fields={"icmp_type": type, "icmp_code": code, "icmp_message": name} | fields)


def message6(type, code, name, rest=REST, payload=b"", **fields):
    return v6(packets.icmpv6(A6, B6, type, code, rest, payload),
              fields={"icmp_type": type, "icmp_code": code, "icmp_message": name} | fields)


ORIGINAL = packets.ipv4(B, "198.51.100.7", UDP, packets.udp(B, "198.51.100.7", 1, 2))
ABOUT = {"original_dst_ip": "198.51.100.7", "original_protocol": "UDP"}
ORIGINAL6 = packets.ipv6(B6, C6, TCP, bytes(20))
ABOUT6 = {"original_dst_ip": C6, "original_protocol": "TCP"}
VLAN, QINQ, IPV4, IPV6 = (packets.ETHERTYPE_VLAN, packets.ETHERTYPE_QINQ, packets.ETHERTYPE_IPV4,
                          packets.ETHERTYPE_IPV6)
CUT = {"malformed": True}

SHAPES = {
    # ---- messages ----
    "echo request": v4(),
    "echo reply": message(0, 0, "ECHO_REPLY", **ID),
    "echo request of IPv6": v6(),
    "echo reply of IPv6": message6(129, 0, "ECHO_REPLY", **ID),
    "timestamp": message(13, 0, "TIMESTAMP_REQUEST", payload=bytes(12), **ID),
    "mask reply": message(18, 0, "ADDRESS_MASK_REPLY", payload=bytes(4), **ID),
    "extended echo": message(42, 0, "EXTENDED_ECHO_REQUEST", icmp_id=0x1234, icmp_seq=5),
    "extended echo of IPv6": message6(161, 0, "EXTENDED_ECHO_REPLY", icmp_id=0x1234, icmp_seq=5),
    "port unreachable": message(3, 3, "DESTINATION_UNREACHABLE", bytes(4), ORIGINAL, **ABOUT),
    "fragmentation needed": message(3, 4, "DESTINATION_UNREACHABLE",
                                    struct.pack("!HH", 0xffff, 1280), ORIGINAL, mtu=1280, **ABOUT),
    "time exceeded": message(11, 1, "TIME_EXCEEDED", bytes(4), ORIGINAL, **ABOUT),
    "redirect": message(5, 1, "REDIRECT", bytes([10, 0, 0, 1]), ORIGINAL, **ABOUT),
    "error without its packet": message(3, 1, "DESTINATION_UNREACHABLE", bytes(4)),
    "error with half of it": message(3, 1, "DESTINATION_UNREACHABLE", bytes(4), ORIGINAL[:19]),
    "fragmentation needed, alone": message(3, 4, "DESTINATION_UNREACHABLE",
                                           struct.pack("!HH", 0, 576), mtu=576),
    "unreachable of IPv6": message6(1, 4, "DESTINATION_UNREACHABLE", bytes(4), ORIGINAL6,
                                    **ABOUT6),
    "packet too big": message6(2, 0, "PACKET_TOO_BIG", struct.pack("!I", 0x11223), ORIGINAL6,
                               mtu=0x11223, **ABOUT6),
    "parameter problem of IPv6": message6(4, 1, "PARAMETER_PROBLEM", bytes(4), ORIGINAL6[:39]),
    "neighbor solicitation": message6(135, 0, "NEIGHBOR_SOLICITATION", bytes(4),
                                      packets.address(C6)),
    "redirect of IPv6": message6(137, 0, "REDIRECT", bytes(4), bytes(32)),
    "listener report": message6(143, 0, "LISTENER_REPORT_V2"),
    "a type without a name": message(99, 77, "99"),
    "a type of IPv6 without a name": message6(200, 77, "456"),
    "a spoilt checksum": v4(packets.icmp(8, 0, REST, correct=False)),
    # ---- before the message ----
    "options": v4(options=b"\1" * 4),
    "all options there can be": v4(options=b"\1" * 40),
    "ttl 1": v4(fields=ECHO | {"ttl": 1}, ttl=1),
    "a spoilt header checksum": v4(correct=False),
    "hop-by-hop options": v6(packets.ipv6_options(ICMPV6) + PING6, HOP_BY_HOP),
    "long options": v6(packets.ipv6_options(ICMPV6, 248) + PING6, DESTINATION_OPTIONS),
    "a routing header": v6(packets.ipv6_options(ICMPV6, 24) + PING6, ROUTING),
    "an authentication header": v6(bytes([ICMPV6, 4]) + bytes(22) + PING6,
                                   packets.AUTHENTICATION),
    "several headers": v6(packets.ipv6_options(ROUTING) + packets.ipv6_options(FRAGMENT) +
                          packets.ipv6_fragment(DESTINATION_OPTIONS, 0, False) +
                          packets.ipv6_options(ICMPV6) + PING6, HOP_BY_HOP,
                          fields=ECHO6 | {"fragment_offset": 0, "more_fragments": False}),
    "eight headers": v6(packets.ipv6_options(DESTINATION_OPTIONS) * 7 +
                        packets.ipv6_options(ICMPV6) + PING6, DESTINATION_OPTIONS),
    # ---- fragments ----
    "a first fragment": v4(fragment=MORE_FRAGMENTS,
                           fields=ECHO | {"fragment_offset": 0, "more_fragments": True}),
    "a middle fragment": v4(b"x" * 16, fragment=MORE_FRAGMENTS | 185,
                            fields={"fragment_offset": 1480, "more_fragments": True}),
    "a last fragment": v4(PING, fragment=0x1fff,
                          fields={"fragment_offset": 65528, "more_fragments": False}),
    "do not fragment": v4(fragment=0x4000),
    "a first fragment of IPv6": v6(packets.ipv6_fragment(ICMPV6, 0, True) + PING6, FRAGMENT,
                                   fields=ECHO6 | {"fragment_offset": 0, "more_fragments": True}),
    "a last fragment of IPv6": v6(packets.ipv6_fragment(ICMPV6, 1232, False) + PING6, FRAGMENT,
                                  fields={"fragment_offset": 1232, "more_fragments": False}),
    "a fragment after options": v6(packets.ipv6_options(FRAGMENT) +
                                   packets.ipv6_fragment(ICMPV6, 8, True) + b"x" * 8, HOP_BY_HOP,
                                   fields={"fragment_offset": 8, "more_fragments": True}),
    # ---- VLANs ----
    "a VLAN": v4(ethertype=VLAN, before=packets.vlan(7, IPV4), fields=ECHO | {"vlan_id": 7}),
    "a VLAN of IPv6": v6(ethertype=VLAN, before=packets.vlan(4095, IPV6, 7),
                         fields=ECHO6 | {"vlan_id": 4095}),
    "a priority alone": v4(ethertype=VLAN, before=packets.vlan(0, IPV4, 5),
                           fields=ECHO | {"vlan_id": 0}),
    "QinQ": v4(ethertype=QINQ, before=packets.vlan(100, VLAN) + packets.vlan(200, IPV4),
               fields=ECHO | {"vlan_id": 100, "inner_vlan_id": 200}),
    "two tags of one kind": v6(ethertype=VLAN, before=packets.vlan(1, VLAN) +
                               packets.vlan(2, IPV6),
                               fields=ECHO6 | {"vlan_id": 1, "inner_vlan_id": 2}),
    "four tags": v4(ethertype=QINQ, before=packets.vlan(1, VLAN) + packets.vlan(2, VLAN) +
                    packets.vlan(3, VLAN) + packets.vlan(4, IPV4),
                    fields=ECHO | {"vlan_id": 1, "inner_vlan_id": 2}),
    "a VLAN and options": v4(ethertype=VLAN, before=packets.vlan(7, IPV4), options=b"\1" * 12,
                             fields=ECHO | {"vlan_id": 7}),
    # ---- cut and forged ----
    "padding": v4(packets.icmp(8, 0, REST), after=bytes(ETHERNET_MINIMUM)),
    "no message, but padding that looks like one": v4(b"", after=PING, fields=CUT),
    "a byte of a message": v4(b"\x08", after=b"\x07\x06", fields=CUT),
    "type and code alone": v4(b"\x08\x01", after=PING, fields=CUT | {
        "icmp_type": 8, "icmp_code": 1, "icmp_message": "ECHO_REQUEST"}),
    "seven bytes of eight": v4(PING[:7], after=b"\xff", fields=CUT | {
        "icmp_type": 8, "icmp_code": 0, "icmp_message": "ECHO_REQUEST"}),
    "less than it says": v4(PING, total_length=1500,
                            fields=ECHO | CUT | {"packet_size_bytes": 1500}),
    "a length of nothing": v4(PING, total_length=0, fields=CUT | {"packet_size_bytes": 0}),
    "a length within the header": v4(PING, total_length=19,
                                     fields=CUT | {"packet_size_bytes": 19}),
    "a header of four words": v4(PING, header_words=4, fields=CUT),
    "a header of no words": v4(PING, header_words=0, fields=CUT),
    "options that are not there": v4(b"", header_words=15, fields=CUT),
    "the header alone": v4(b"", fields=CUT),
    "less than IPv6 says": v6(payload_length=1400,
                              fields=ECHO6 | CUT | {"packet_size_bytes": 1440}),
    "IPv6 that ends in its message": v6(PING6[:3], fields=CUT | {
        "icmp_type": 128, "icmp_code": 0, "icmp_message": "ECHO_REQUEST"}),
    "IPv6 that says it has nothing": v6(payload_length=0,
                                        fields=CUT | {"packet_size_bytes": 40}),
    "options of IPv6 that go past the end": v6(bytes([ICMPV6, 255]) + bytes(6), HOP_BY_HOP,
                                               fields=CUT),
}

# No event: not ICMP, or nothing that anybody could call it.
OTHERS = {
    "UDP": v4(packets.udp(A, B, 1, 2), UDP),
    "TCP": v4(packets.tcp(A, B, 1, 2, packets.SYN), TCP),
    "UDP of IPv6": v6(packets.udp(A6, B6, 1, 2), UDP),
    "ICMPv6 in IPv4": v4(PING6, ICMPV6),
    "ICMP in IPv6": v6(PING, ICMP),
    "IPv6 under IPv4's number": shape(packets.ipv6(A6, B6, ICMPV6, PING6), IPV4),
    "IPv4 under IPv6's number": shape(packets.ipv4(A, B, ICMP, PING), IPV6),
    "ARP": shape(packets.arp_request(bytes(6), A, B), packets.ETHERTYPE_ARP),
    "a frame of nothing": shape(b"", IPV4),
    "half an IP header": shape(packets.ipv4(A, B, ICMP, PING)[:19], IPV4),
    "half an IPv6 header": shape(packets.ipv6(A6, B6, ICMPV6, PING6)[:39], IPV6),
    "a tag and two bytes": shape(b"\0\7\10\0\x45\0", VLAN),
    "UDP in a VLAN": v4(packets.udp(A, B, 1, 2), UDP, ethertype=VLAN,
                        before=packets.vlan(7, IPV4)),
    "a fragment of who knows what": v6(packets.ipv6_fragment(DESTINATION_OPTIONS, 8, False) +
                                       packets.ipv6_options(ICMPV6) + PING6, FRAGMENT),
    "options that end the packet": v6(packets.ipv6_options(DESTINATION_OPTIONS), HOP_BY_HOP),
    "no next header": v6(PING6, packets.NO_NEXT_HEADER),
    "a type that is no frame's": shape(packets.ipv4(A, B, ICMP, PING), 0x9999),
}
MARK = "203.0.113.9"


@pytest.fixture(scope="module")
def stand():
    """A line and two servers on it: the first has XDP, and the second finds that taken."""
    network = Network()
    try:
        line = Line(network)
        try:
            with servers() as start:
                yield line, [start("--programs", "icmp", "--interface", "veth0",
                                   namespace=line.near) for _ in range(2)]
        finally:
            line.close()
    finally:
        network.close()


def send(line, sender, shapes):
    """Sends frames and at last one that is told by its source; all arrive as they are."""
    ends = [(ethertype, packet) for ethertype, packet, _ in shapes]
    ends.append((packets.ETHERTYPE_IPV4, packets.ipv4(MARK, B, ICMP, PING)))
    with Tap(line.other(sender)) as tap:
        for ethertype, packet in ends:
            frame = line.frame(sender, packet, ethertype)
            line.send(sender, frame)
            assert tap.receive() == frame


def assert_seen(stand, sender, shapes):
    """Sends frames; each server reports those that say something of themselves, and no other."""
    line, watching = stand
    since = boot_ns()
    send(line, sender, shapes)
    leaving = sender is line.near
    known = {"direction": "egress" if leaving else "ingress", "interface": "veth0",
             "interface_index": line.index}
    owner = {"uid": 0, "cgroup_id": cgroup_id()} if leaving else {}
    expected = [fields for *_, fields in shapes if fields]
    for server in watching:
        events = server.events("icmp", len(expected) + 1, timestamp=f"{since}..")
        assert events[-1]["src_ip"] == MARK
        for event, fields in zip(events, expected):
            assert_icmp(event, **fields, **known, **owner)


def test_the_servers_use_different_hooks(stand):
    line, watching = stand
    modes = [[entry["mode"] for entry in server.api("/api/programs/icmp")["interfaces"]]
             for server in watching]
    assert modes == [["xdp native", "tcx"], ["tcx", "tcx"]]


@pytest.mark.parametrize("name", SHAPES)
def test_arriving(stand, name):
    assert_seen(stand, stand[0].far, [SHAPES[name]])


@pytest.mark.parametrize("name", SHAPES)
def test_leaving(stand, name):
    assert_seen(stand, stand[0].near, [SHAPES[name]])


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_no_events(stand, name):
    for sender in (stand[0].far, stand[0].near):
        assert_seen(stand, sender, [OTHERS[name][:2] + ({},)])


NINE = packets.ipv6_options(DESTINATION_OPTIONS) * 8 + packets.ipv6_options(ICMPV6) + PING6
FIVE = packets.vlan(1, VLAN) * 4 + packets.vlan(1, IPV4)


def test_nothing_was_lost(stand):
    """What hides behind more headers than are looked past, and nothing else, counts as lost."""
    line, watching = stand
    before = [settled_ledger(server, "icmp") for server in watching]
    assert [counts["lost"] for counts in before] == [0, 0]
    for sender in (line.far, line.near):
        send(line, sender, [shape(packets.ipv6(A6, B6, DESTINATION_OPTIONS, NINE)),
                            shape(packets.ipv4(A, B, ICMP, PING), VLAN, FIVE)])
    for server, counts in zip(watching, before):
        settled_ledger(server, "icmp", lambda now, counts=counts: (
            now["lost"] == 4 and now["produced"] == counts["produced"] + 6))
