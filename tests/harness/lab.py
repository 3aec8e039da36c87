# SPDX-License-Identifier: MIT
"""Two namespaces, a wire, and packets put on it that the other end will throw away."""
from . import packets
from .expect import assert_drop
from .kernel import boot_ns
from .sockets import Wire, mac_of

PORT, CLOSED = 40_009, 40_013


def drops(server, namespace, since, count, **filters):
    """Exactly `count` drops in a namespace. The kernel gives the number of one that is gone to the
    next: only what came after `since`, in boot ns, is the present one's."""
    return server.events("packet_drop", count, network_namespace=namespace.inode,
                         timestamp=f"{since}..", **filters)


class Lab:
    """`one` sends, `other` drops. Version 4: 10.77.0.1 to 10.77.0.2; 6: fd77::1 to fd77::2."""

    ENDS = {4: ("10.77.0.1", "10.77.0.2"), 6: ("fd77::1", "fd77::2")}

    def __init__(self, one, other):
        self.one, self.other = one, other
        self.since = boot_ns()
        self.wire = Wire(one)
        self.other_mac = mac_of(other)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.socket.close()

    def inject(self, packet, count=1, ethertype=None, to=None):
        """Sends a packet in a frame from one to other, `count` times."""
        if ethertype is None:
            ethertype = packets.ethertype_of(packet)
        frame = packets.ethernet(to or self.other_mac, self.wire.mac, ethertype, packet)
        self.wire.send(frame, count)

    def udp(self, version, payload=b"hello", destination=None, port=CLOSED, correct=True,
            length=None, **options):
        """A UDP packet from PORT of one; options are those of packets.ip."""
        source, other = self.ENDS[version]
        destination = destination or other
        datagram = packets.udp(source, destination, PORT, port, payload, length, correct)
        return packets.ip(source, destination, packets.UDP, datagram, **options)

    def expected(self, version, packet, **fields):
        """The fields of an event about an IP packet that arrived whole: without protocol and
        ports."""
        source, destination = self.ENDS[version]
        return {"network_namespace": self.other.inode, "interface": "veth0",
                "ether_type": "IP" if version == 4 else "IPV6", "packet_size_bytes": len(packet),
                "source_ip": source, "destination_ip": destination} | fields

    def expected_udp(self, version, packet, **fields):
        return self.expected(version, packet, protocol="UDP", source_port=PORT,
                             destination_port=CLOSED) | fields

    def dropped(self, server, count, namespace=None, **filters):
        """The events of a namespace that fit, `other` if none is named; exactly `count`."""
        return drops(server, namespace or self.other, self.since, count, **filters)

    def check(self, server, version, count, reason, destination=None, **fields):
        """All drops of packets between the two ends (or to `destination`) are like this."""
        source, other = self.ENDS[version]
        events = self.dropped(server, count, source_ip=source,
                              destination_ip=destination or other)
        for event in events:
            assert_drop(event, reason, **fields)


def transport_length(version, packet):
    """Bytes after the fixed IP header: what is left of a packet that reached its protocol."""
    return len(packet) - (20 if version == 4 else 40)
