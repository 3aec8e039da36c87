# SPDX-License-Identifier: MIT
"""Packets as bytes: correct unless told otherwise.

RFC 791 (IPv4), 8200 (IPv6), 768 (UDP), 9293 (TCP), 792 (ICMP), 1071 (checksum), 826 (ARP).
"""
import socket
import struct

ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP = 0x0800, 0x86dd, 0x0806
ETHERTYPE_VLAN, ETHERTYPE_QINQ = 0x8100, 0x88a8
ICMP = 1
HOP_BY_HOP, TCP, UDP, ROUTING, FRAGMENT = 0, 6, 17, 43, 44
AUTHENTICATION, ICMPV6, NO_NEXT_HEADER, DESTINATION_OPTIONS = 51, 58, 59, 60
MORE_FRAGMENTS = 0x2000
SYN, ACK = 0x02, 0x10


def address(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def checksum(data):
    """The one's complement of the one's complement sum of 16-bit words."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def transport_checksum(source, destination, protocol, data):
    """With the pseudo header of the family of the addresses."""
    one, other = address(source), address(destination)
    if len(one) == 4:
        pseudo = one + other + struct.pack("!BBH", 0, protocol, len(data))
    else:
        pseudo = one + other + struct.pack("!IHBB", len(data), 0, 0, protocol)
    return checksum(pseudo + data)


def ethernet(destination, source, ethertype, payload):
    return destination + source + struct.pack("!H", ethertype) + payload


def ipv4(source, destination, protocol, payload=b"", ttl=64, identification=1, fragment=0,
         options=b"", total_length=None, header_words=None, correct=True):
    """`fragment` is the field of flags and offset; correct=False spoils the header's checksum."""
    words = 5 + len(options) // 4 if header_words is None else header_words
    size = 20 + len(options) + len(payload) if total_length is None else total_length

    def header(check):
        return struct.pack("!BBHHHBBH", 4 << 4 | words, 0, size, identification, fragment,
                           ttl, protocol, check) + address(source) + address(destination) + options
    check = checksum(header(0))
    return header(check if correct else check ^ 0x5555) + payload


def ipv6(source, destination, next_header, payload=b"", hop_limit=64, payload_length=None):
    length = len(payload) if payload_length is None else payload_length
    return (struct.pack("!IHBB", 6 << 28, length, next_header, hop_limit) +
            address(source) + address(destination) + payload)


def ip(source, destination, protocol, payload=b"", **options):
    """IPv4 or IPv6, as the addresses say."""
    make = ipv6 if ":" in source else ipv4
    return make(source, destination, protocol, payload, **options)


def ethertype_of(packet):
    return ETHERTYPE_IPV6 if packet[0] >> 4 == 6 else ETHERTYPE_IPV4


def udp(source, destination, source_port, destination_port, payload=b"", length=None,
        correct=True):
    def datagram(check):
        size = 8 + len(payload) if length is None else length
        return struct.pack("!HHHH", source_port, destination_port, size, check) + payload
    check = transport_checksum(source, destination, UDP, datagram(0)) or 0xffff
    return datagram(check if correct else check ^ 0x5555)


def tcp(source, destination, source_port, destination_port, flags, sequence=1, acknowledgement=0,
        header_words=5, payload=b"", correct=True):
    def segment(check):
        return struct.pack("!HHIIBBHHH", source_port, destination_port, sequence, acknowledgement,
                           header_words << 4, flags, 1024, check, 0) + payload
    check = transport_checksum(source, destination, TCP, segment(0))
    return segment(check if correct else check ^ 0x5555)


def icmp(type, code, rest=bytes(4), payload=b"", correct=True):
    """Of ICMP; the checksum of ICMPv6 would need the addresses: icmpv6()."""
    def message(check):
        return struct.pack("!BBH", type, code, check) + rest + payload
    check = checksum(message(0))
    return message(check if correct else check ^ 0x5555)


def icmpv6(source, destination, type, code, rest=bytes(4), payload=b""):
    def message(check):
        return struct.pack("!BBH", type, code, check) + rest + payload
    return message(transport_checksum(source, destination, ICMPV6, message(0)))


def icmp_echo(identifier, sequence, correct=True):
    return icmp(8, 0, struct.pack("!HH", identifier, sequence), correct=correct)


def vlan(identifier, ethertype, priority=0):
    """What stands in a frame after the type 0x8100 or 0x88a8."""
    return struct.pack("!HH", priority << 13 | identifier, ethertype)


def ipv6_options(next_header, length=8):
    """A hop-by-hop or destination options header of `length` bytes: one option for experiments
    that is skipped by whoever does not know it (RFC 4727)."""
    assert length % 8 == 0
    return bytes([next_header, length // 8 - 1, 0x1e, length - 4]) + bytes(length - 4)


def ipv6_fragment(next_header, offset, more, identification=1):
    """A fragment header; `offset` in bytes."""
    assert offset % 8 == 0
    return struct.pack("!BBHI", next_header, 0, offset | more, identification)


def arp_request(source_mac, source, target):
    return struct.pack("!HHBBH", 1, ETHERTYPE_IPV4, 6, 4, 1) + \
        source_mac + address(source) + bytes(6) + address(target)
