# SPDX-License-Identifier: MIT
"""packet_drop: firewalls, routes, queues and neighbours; whose packet it was; and the filters."""
import json
import os
import socket

import pytest

from harness import cgroups, packets
from harness.btf import drop_reason
from harness.expect import assert_drop, this_process
from harness.kernel import boot_ns, cgroup_id
from harness.lab import CLOSED, PORT, Lab
from harness.processes import settled_ledger
from harness.sockets import socket_in
from harness.wait import wait_for

COUNT = 101
ELSEWHERE = {4: "10.99.0.9", 6: "fd99::9"}
RULES = """
table {family} t {{
	chain c {{
		type filter hook {hook} priority 0
		{rule}
	}}
}}
"""

versions = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture(scope="module")
def server(shared_server):
    return shared_server


@pytest.fixture
def lab(netns):
    with Lab(*netns) as made:
        yield made


def drop_rule(namespace, hook, rule, family="inet"):
    namespace.nft(RULES.format(family=family, hook=hook, rule=rule))


# ---- firewall ----

@versions
@pytest.mark.parametrize("hook", ["prerouting", "input"])
def test_a_firewall_on_the_way_in(server, lab, version, hook):
    drop_rule(lab.other, hook, f"udp dport {CLOSED} drop")
    packet = lab.udp(version)
    lab.inject(packet, COUNT)
    lab.check(server, version, COUNT, "NETFILTER_DROP",
              **lab.expected_udp(version, packet, skb_length=len(packet)))


@versions
def test_a_firewall_on_the_way_through(server, lab, version):
    drop_rule(lab.other, "forward", "drop")
    forward(lab, version)
    packet = lab.udp(version, destination=ELSEWHERE[version])
    lab.inject(packet, COUNT)
    lab.check(server, version, COUNT, "NETFILTER_DROP", destination=ELSEWHERE[version],
              **lab.expected_udp(version, packet, skb_length=len(packet),
                                 destination_ip=ELSEWHERE[version]))


@versions
def test_a_firewall_on_the_way_out_knows_the_sender(server, lab, version, trigger):
    """The packet never leaves its process's call: who sent it is known for sure."""
    drop_rule(lab.one, "output", "udp dport 40013 drop")
    source, destination = lab.ENDS[version]
    address = f"[{destination}]:{CLOSED}" if version == 6 else f"{destination}:{CLOSED}"
    made = trigger(f"udp{version}", address, namespace=lab.one, send=31, count=17, threads=3,
                   uid=1013, command="sender \"x\"")
    events = lab.dropped(server, 51, namespace=lab.one, source_ip=source)
    calls = sorted(call.tid for call in made.calls)
    assert sorted(event["tid"] for event in events) == calls
    size = 39 + (20 if version == 4 else 40)
    for event in events:
        assert_drop(event, "NETFILTER_DROP", pid=made.pid, tid=event["tid"], uid=1013,
                    command="sender \"x\"", cgroup=cgroup_id(), skb_length=size,
                    packet_size_bytes=size, network_namespace=lab.one.inode, interface="veth0",
                    ether_type="IP" if version == 4 else "IPV6", protocol="UDP",
                    source_ip=source, destination_ip=destination,
                    source_port=event["source_port"], destination_port=CLOSED)


def test_a_sender_in_a_control_group(server, lab):
    if cgroups.mount_point() is None:
        pytest.skip("no cgroup v2 hierarchy is mounted")
    drop_rule(lab.one, "output", "udp dport 40013 drop")
    with cgroups.group("sender") as group:
        code = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "s.bind(('10.77.0.1', 40009))\n"
                "for _ in range(7):\n"
                "    try: s.sendto(b'x', ('10.77.0.2', 40013))\n"
                "    except PermissionError: pass\n")
        lab.one.run(*group.command("/usr/bin/python3", "-c", code))
        events = lab.dropped(server, 7, namespace=lab.one, source_ip="10.77.0.1")
        assert {event["cgroup_id"] for event in events} == {group.inode}
        assert {event["command"] for event in events} == {"python3"}


# ---- routes ----

def forward(lab, version):
    """`other` forwards, and has a way to ELSEWHERE: back to `one`."""
    lab.other.sysctl("net.ipv4.ip_forward" if version == 4 else "net.ipv6.conf.all.forwarding", 1)
    network = "10.99.0.0/24" if version == 4 else "fd99::/64"
    lab.other.ip("-6" if version == 6 else "-4", "route", "add", network, "via",
                 lab.ENDS[version][0])


@versions
@pytest.mark.parametrize("forwards", [False, True])
def test_no_route(server, lab, version, forwards):
    if forwards:
        lab.other.sysctl("net.ipv4.ip_forward" if version == 4 else
                         "net.ipv6.conf.all.forwarding", 1)
    packet = lab.udp(version, destination=ELSEWHERE[version])
    lab.inject(packet, COUNT)
    # A host that forwards nothing calls it a wrong address, in IPv4.
    reason = "IP_INNOROUTES" if forwards or version == 6 else "IP_INADDRERRORS"
    lab.check(server, version, COUNT, reason, destination=ELSEWHERE[version],
              **lab.expected_udp(version, packet, skb_length=len(packet),
                                 destination_ip=ELSEWHERE[version]))


@versions
def test_a_packet_whose_time_is_over(server, lab, version):
    forward(lab, version)
    packet = lab.udp(version, destination=ELSEWHERE[version],
                     **({"ttl": 1} if version == 4 else {"hop_limit": 1}))
    lab.inject(packet, COUNT)
    lab.check(server, version, COUNT, "IP_INHDR", destination=ELSEWHERE[version],
              **lab.expected_udp(version, packet, skb_length=len(packet),
                                 destination_ip=ELSEWHERE[version]))


def test_a_route_that_goes_away_under_a_connection(server, lab):
    """The segment is dropped before it has an IP header or a device: its socket tells the rest."""
    with socket_in(lab.other, socket.AF_INET, socket.SOCK_STREAM) as listener, \
            socket_in(lab.one, socket.AF_INET, socket.SOCK_STREAM) as client:
        listener.bind(("10.77.0.2", CLOSED))
        listener.listen(3)
        client.connect(("10.77.0.2", CLOSED))
        lab.one.ip("route", "delete", "10.77.0.0/24", "dev", "veth0")
        client.send(b"seven b")
        [event, *_] = wait_for(lambda: server.api(
            "/api/events", type="packet_drop", timestamp=f"{lab.since}..", order="asc",
            network_namespace=lab.one.inode, drop_reason="IP_OUTNOROUTES")["events"])
    assert_drop(event, "IP_OUTNOROUTES", **this_process(), skb_length=event["skb_length"],
                packet_size_bytes=event["skb_length"], network_namespace=lab.one.inode,
                protocol="TCP")


@pytest.mark.parametrize("source, destination, reason", [
    ("10.77.0.2", "10.77.0.2", "IP_LOCAL_SOURCE"),
    ("127.0.0.1", "10.77.0.2", "IP_LOCALNET"),
    ("10.77.0.1", "127.0.0.1", "IP_LOCALNET"),
    ("224.0.0.1", "10.77.0.2", "IP_INVALID_SOURCE"),
    ("10.77.0.1", "0.0.0.0", "IP_INVALID_DEST"),
])
def test_addresses_that_no_wire_may_carry(server, lab, source, destination, reason):
    if drop_reason(reason) is None:
        pytest.skip(f"this kernel does not know {reason}")
    datagram = packets.udp(source, destination, PORT, CLOSED, b"x")
    packet = packets.ip(source, destination, packets.UDP, datagram)
    lab.inject(packet, 13)
    for event in lab.dropped(server, 13, source_ip=source, destination_ip=destination):
        assert_drop(event, reason,
                    **lab.expected_udp(4, packet, skb_length=len(packet), source_ip=source,
                                       destination_ip=destination))


@versions
def test_somebody_else_s_frame(server, lab, version):
    packet = lab.udp(version)
    lab.inject(packet, COUNT, to=b"\x02\0\0\0\0\x09")
    lab.check(server, version, COUNT, "OTHERHOST",
              **lab.expected_udp(version, packet, skb_length=len(packet)))


def test_a_reverse_path_that_is_not_there(server, lab):
    lab.other.sysctl("net.ipv4.conf.all.rp_filter", 1)
    source, destination = ELSEWHERE[4], "10.77.0.2"
    datagram = packets.udp(source, destination, PORT, CLOSED, b"x")
    packet = packets.ip(source, destination, packets.UDP, datagram)
    lab.inject(packet, COUNT)
    for event in lab.dropped(server, COUNT, source_ip=source):
        assert_drop(event, "IP_RPFILTER",
                    **lab.expected_udp(4, packet, skb_length=len(packet), source_ip=source))


# ---- queues and neighbours ----

def test_a_full_queue_on_the_way_out(server, lab, trigger):
    """As many as the queue itself counts."""
    lab.one.ip("neighbour", "add", "10.77.0.2", "lladdr", lab.other_mac.hex(":"), "dev", "veth0")
    lab.one.run("tc", "qdisc", "add", "dev", "veth0", "root", "handle", "1:", "tbf",
                "rate", "8bit", "burst", "200", "limit", "1")
    made = trigger("udp4", f"10.77.0.2:{CLOSED}", namespace=lab.one, send=60, count=23)
    events = lab.dropped(server, 23, namespace=lab.one, destination_port=CLOSED)

    def told():
        text = lab.one.run("tc", "-s", "-j", "qdisc", "show", "dev", "veth0")
        found = server.api("/api/events", type="packet_drop", timestamp=f"{lab.since}..",
                           network_namespace=lab.one.inode, drop_reason="QDISC_DROP", limit=1)
        return json.loads(text)[0]["drops"] == found["total_count"]
    wait_for(told, "the queue's own count to be that of the events")
    for event in events:
        # With the link's header on it by now: 14 bytes more than the packet has.
        assert_drop(event, "QDISC_DROP", pid=made.pid, tid=made.pid, uid=0, command="trigger",
                    cgroup=cgroup_id(), skb_length=102, packet_size_bytes=88,
                    network_namespace=lab.one.inode, interface="veth0", ether_type="IP",
                    protocol="UDP", source_ip="10.77.0.1", destination_ip="10.77.0.2",
                    source_port=event["source_port"], destination_port=CLOSED)


def test_a_neighbour_that_never_answers(server, lab):
    """A timer gives up: the drop is nobody's, whoever was interrupted stands in the event."""
    lab.one.sysctl("net.ipv4.neigh.veth0.retrans_time_ms", 10)
    lab.one.sysctl("net.ipv4.neigh.veth0.mcast_solicit", 1)
    with socket_in(lab.one, socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("10.77.0.1", PORT))
        for _ in range(3):
            sender.sendto(b"anybody?", ("10.77.0.77", CLOSED))
        for event in lab.dropped(server, 3, namespace=lab.one, destination_ip="10.77.0.77"):
            assert_drop(event, "NEIGH_FAILED", skb_length=36, packet_size_bytes=36,
                        network_namespace=lab.one.inode, interface="veth0", ether_type="IP",
                        protocol="UDP", source_ip="10.77.0.1", destination_ip="10.77.0.77",
                        source_port=PORT, destination_port=CLOSED)


# ---- what is no drop, and the filters ----

def unspecified(lab, count):
    """ARP with a hardware type of nowhere: the kernel gives no reason why it throws it away."""
    request = packets.arp_request(lab.wire.mac, "10.77.0.1", "10.77.0.2")
    lab.inject(b"\xff" + request[1:], count, ethertype=packets.ETHERTYPE_ARP)


def test_without_a_reason_it_is_no_event(start_server, lab):
    server = start_server("--programs", "packet_drop")
    before = settled_ledger(server, "packet_drop")
    unspecified(lab, 1009)
    packet = lab.udp(4)
    lab.inject(packet, 7)
    lab.check(server, 4, 7, "NO_SOCKET",
              **lab.expected_udp(4, packet, skb_length=len(packet) - 20))
    counts = settled_ledger(server, "packet_drop",
                            lambda now: now["filtered"] >= before["filtered"] + 1009)
    assert counts["lost"] == 0
    answer = server.api("/api/events", type="packet_drop", drop_reason="NOT_SPECIFIED")
    assert answer["total_count"] == 0


def test_without_a_reason_it_can_be_asked_for(start_server, lab):
    server = start_server("--programs", "packet_drop",
                          "--set", "packet_drop.include_unspecified=1")
    unspecified(lab, COUNT)
    for event in lab.dropped(server, COUNT, ether_type="ARP"):
        assert_drop(event, "NOT_SPECIFIED", skb_length=28, packet_size_bytes=28,
                    network_namespace=lab.other.inode, interface="veth0", ether_type="ARP",
                    protocol="ARP")


def test_what_arrives_is_no_drop(server, lab):
    """Datagrams that are read, a connection that is closed."""
    source, destination = lab.ENDS[4]
    with socket_in(lab.other, socket.AF_INET, socket.SOCK_DGRAM) as reader:
        reader.settimeout(10)
        reader.bind((destination, CLOSED))
        lab.inject(lab.udp(4), 13)
        for _ in range(13):
            assert reader.recv(100) == b"hello"
    with socket_in(lab.other, socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((destination, CLOSED))
        listener.listen(3)
        with socket_in(lab.one, socket.AF_INET, socket.SOCK_STREAM) as client:
            client.connect((destination, CLOSED))
            accepted, _ = listener.accept()
            client.sendall(b"all of it")
            client.shutdown(socket.SHUT_WR)
            assert accepted.makefile("rb").read() == b"all of it"
            accepted.close()
            assert client.recv(1) == b""
    # One drop after all that: whatever came before it is there by then.
    lab.inject(lab.udp(4, port=7))
    [event] = lab.dropped(server, 1, source_ip=source)
    assert event["destination_port"] == 7
    answer = server.api("/api/events", type="packet_drop", timestamp=f"{lab.since}..",
                        network_namespace=lab.one.inode, ether_type="IP")
    assert answer["events"] == []


def test_only_uid(start_server, lab, trigger):
    """The filters of every program: here, of those whose packets never leave their call."""
    server = start_server("--programs", "packet_drop", "--set", "packet_drop.only_uid=1013")
    since = boot_ns()
    drop_rule(lab.one, "output", f"udp dport {CLOSED} drop")
    made = trigger("udp4", f"10.77.0.2:{CLOSED}", namespace=lab.one, send=1, count=19, uid=1013)
    trigger("udp4", f"10.77.0.2:{CLOSED}", namespace=lab.one, send=1, count=103, uid=1014)
    counts = settled_ledger(server, "packet_drop", lambda now: now["filtered"] >= 103)
    assert counts["stored"] == 19 and counts["lost"] == counts["sampled_out"] == 0
    events = server.events("packet_drop", 19, timestamp=f"{since}..")
    assert {(event["pid"], event["uid"]) for event in events} == {(made.pid, 1013)}


def test_only_command_and_sample(start_server, lab, trigger):
    count, every = 10_007, 5
    server = start_server("--programs", "packet_drop", "--set", "packet_drop.only_command=drops",
                          "--set", f"packet_drop.sample={every}")
    drop_rule(lab.one, "output", f"udp dport {CLOSED} drop")
    for command, number in (("drops", count), ("dropsy", 1009)):
        trigger("udp4", f"10.77.0.2:{CLOSED}", namespace=lab.one, send=1, count=number,
                command=command)
    counts = settled_ledger(server, "packet_drop",
                            lambda now: now["stored"] + now["sampled_out"] == count)
    assert counts["filtered"] >= 1009 and counts["lost"] == 0
    # Binomial: the standard deviation is 40, and this is ten of them.
    assert abs(counts["stored"] - count / every) < 400, counts
    assert server.api("/api/events", type="packet_drop", limit=1)["total_count"] == \
        counts["stored"]


def test_only_pid(start_server, lab, start_trigger, trigger):
    drop_rule(lab.one, "output", f"udp dport {CLOSED} drop")
    wanted = start_trigger("udp4", f"10.77.0.2:{CLOSED}", namespace=lab.one, wait=True, send=1,
                           count=29)
    server = start_server("--programs", "packet_drop",
                          "--set", f"packet_drop.only_pid={wanted.pid}")
    trigger("udp4", f"10.77.0.2:{CLOSED}", namespace=lab.one, send=1, count=101)
    wanted.go()
    made = wanted.finish()
    counts = settled_ledger(server, "packet_drop", lambda now: now["filtered"] >= 101)
    assert counts["stored"] == 29 and counts["lost"] == counts["sampled_out"] == 0
    assert {event["pid"] for event in server.events("packet_drop", 29)} == {made.pid}
    assert made.pid != os.getpid()
