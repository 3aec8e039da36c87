# SPDX-License-Identifier: MIT
"""A wire on which ICMP goes by, and what a whole `icmp` event must say of it."""
import socket
import struct

from . import packets
from .expect import CLOCK_TOLERANCE_NS
from .kernel import boot_to_real_offset_ns, parse_rfc3339_ns
from .sockets import Wire, mac_of, socket_in

# Fields that are null unless a test says otherwise.
OPTIONAL = ("icmp_type", "icmp_code", "icmp_message", "icmp_id", "icmp_seq", "vlan_id",
            "inner_vlan_id", "more_fragments", "fragment_offset", "original_dst_ip", "mtu",
            "original_protocol")


def assert_icmp(event, *, uid=None, cgroup_id=None, **fields):
    """A whole event: `fields` are all that are not null. Who owns the socket is known of what
    leaves alone."""
    own = dict(event)
    assert own.pop("type") == "icmp"
    assert own.pop("id")
    wall = parse_rfc3339_ns(own.pop("time"))
    assert abs(wall - (own.pop("timestamp") + boot_to_real_offset_ns())) < CLOCK_TOLERANCE_NS
    expected = dict.fromkeys(OPTIONAL) | {"malformed": False, "watched": False} | fields
    expected |= {"pid": None, "tid": None, "command": None, "uid": uid, "cgroup_id": cgroup_id}
    assert own == expected


class Line:
    """`near`, where a server runs on veth0, and `far`, both without an IPv6 stack, so that nothing
    but what a test sends goes over the wire. 10.77.0.1 and 10.77.0.2."""

    NEAR, FAR = "10.77.0.1", "10.77.0.2"

    def __init__(self, network):
        self.near, self.far = network.namespace(), network.namespace()
        for namespace in (self.near, self.far):
            namespace.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
            namespace.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        network.veth(self.near, self.far, [f"{self.NEAR}/24"], [f"{self.FAR}/24"])
        for namespace, other, ip in ((self.near, self.far, self.FAR),
                                     (self.far, self.near, self.NEAR)):
            # No ARP either.
            namespace.ip("neighbour", "replace", ip, "dev", "veth0", "nud", "permanent",
                         "lladdr", mac_of(other).hex(":"))
        self.index = self.near.interface_index("veth0")
        self.macs = {self.near: mac_of(self.near), self.far: mac_of(self.far)}
        self.wires = {namespace: Wire(namespace) for namespace in (self.near, self.far)}

    def close(self):
        for wire in self.wires.values():
            wire.socket.close()

    def other(self, namespace):
        return self.far if namespace is self.near else self.near

    def frame(self, sender, packet, ethertype=None):
        """An Ethernet frame to the other end."""
        return packets.ethernet(self.macs[self.other(sender)], self.macs[sender],
                                ethertype or packets.ethertype_of(packet), packet)

    def send(self, sender, frame):
        self.wires[sender].send(frame)


class Tap:
    """Gets every frame that arrives at an interface, as it was on the wire."""

    PACKET_AUXDATA, SOL_PACKET = 8, 263
    VLAN_VALID, TYPE_VALID = 1 << 4, 1 << 6  # TP_STATUS_VLAN_…, include/uapi/linux/if_packet.h

    def __init__(self, namespace, interface="veth0"):
        every = 3  # ETH_P_ALL; said when it is bound, lest it gets those of other interfaces
        self.socket = socket_in(namespace, socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.settimeout(10)
        self.socket.setsockopt(self.SOL_PACKET, self.PACKET_AUXDATA, 1)
        self.socket.bind((interface, every))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self):
        """The next frame that arrived; what leaves is passed over."""
        while True:
            frame, control, _, address = self.socket.recvmsg(65536, 256)
            if address[2] != socket.PACKET_OUTGOING:
                return self._with_tag(frame, control)

    def _with_tag(self, frame, control):
        """The kernel takes the outer VLAN tag off and tells it beside."""
        for level, kind, data in control:
            if (level, kind) != (self.SOL_PACKET, self.PACKET_AUXDATA):
                continue
            status, _, _, _, _, tag, protocol = struct.unpack("=IIIHHHH", data[:20])
            if status & self.VLAN_VALID:
                assert status & self.TYPE_VALID
                frame = frame[:12] + struct.pack("!HH", protocol, tag) + frame[12:]
        return frame
