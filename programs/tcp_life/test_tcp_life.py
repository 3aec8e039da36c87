# SPDX-License-Identifier: MIT
"""tcp_life: one event for each end of each TCP connection, its figures to the byte."""
import contextlib
import os
import socket
import struct
import subprocess
import sys

import pytest

from harness.kernel import boot_ns, cgroup_id
from harness.processes import settled_ledger
from harness.sockets import socket_in

TO_PEER, TO_OPENER = 1_000_003, 65_537
MANY = 307
# A user of its own keeps what others on the machine do out of the counts.
UID = 64996
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
DEADLINE = 20


@pytest.fixture
def server(start_server):
    return start_server("--programs", "tcp_life")


@pytest.fixture
def listen():
    """listen(family) → (listener, its address); closed at the end."""
    with contextlib.ExitStack() as stack:
        def make(family=socket.AF_INET, host=None):
            listener = socket.create_server((host or LOOPBACK[family], 0), family=family,
                                            backlog=MANY)
            listener.settimeout(DEADLINE)
            stack.enter_context(listener)
            return listener, listener.getsockname()
        yield make


def connect(listener, family=socket.AF_INET):
    """(opener, peer): both ends of one connection."""
    opener = socket.socket(family, socket.SOCK_STREAM)
    opener.settimeout(DEADLINE)
    opener.connect(listener.getsockname())
    peer, _ = listener.accept()
    peer.settimeout(DEADLINE)
    return opener, peer


def send(sender, receiver, count):
    """A piece at a time, so that no buffer is too small."""
    while count:
        piece = min(count, 20_011)
        sender.sendall(b"x" * piece)
        count -= piece
        while piece:
            piece -= len(receiver.recv(piece))


def reset(end):
    """Closes with an RST instead of a FIN."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


def closed(end):
    """Waits for the other side's FIN, and closes."""
    assert end.recv(1) == b""
    end.close()


def end_events(server, listener):
    """(the opener's, the peer's) event of the one connection with a listener."""
    port = listener.getsockname()[1]
    [outgoing] = server.events("tcp_life", 1, remote_port=port)
    [incoming] = server.events("tcp_life", 1, local_port=port)
    assert (outgoing["direction"], incoming["direction"]) == ("outgoing", "incoming")
    return outgoing, incoming


def assert_owner(event):
    """The header is this process's."""
    assert (event["pid"], event["tid"], event["uid"]) == (os.getpid(),) * 2 + (os.getuid(),)
    assert event["cgroup_id"] == cgroup_id()
    with open("/proc/self/comm", encoding="ascii") as name:
        assert event["command"] == name.read().strip()


def assert_nobody(event):
    assert [event[name] for name in ("pid", "tid", "uid", "command", "cgroup_id")] == [None] * 5


@pytest.mark.parametrize("family", LOOPBACK, ids=lambda family: family.name)
@pytest.mark.parametrize("first", ["opener", "peer"])
def test_each_field(server, listen, family, first):
    listener, address = listen(family)
    before = boot_ns()
    opener, peer = connect(listener, family)
    begun = boot_ns()
    own_port = opener.getsockname()[1]
    send(opener, peer, TO_PEER)
    send(peer, opener, TO_OPENER)
    closing = boot_ns()
    one, other = (opener, peer) if first == "opener" else (peer, opener)
    one.close()
    closed(other)
    after = boot_ns()
    outgoing, incoming = end_events(server, listener)
    assert (outgoing["bytes_sent"], outgoing["bytes_received"]) == (TO_PEER, TO_OPENER)
    assert (incoming["bytes_sent"], incoming["bytes_received"]) == (TO_OPENER, TO_PEER)
    ends = ("local", "remote") if first == "opener" else ("remote", "local")
    assert (outgoing["ended_by"], incoming["ended_by"]) == ends
    assert (outgoing["local_ip"], outgoing["local_port"]) == (LOOPBACK[family], own_port)
    assert (outgoing["remote_ip"], outgoing["remote_port"]) == address[:2]
    assert (incoming["local_ip"], incoming["local_port"]) == address[:2]
    assert (incoming["remote_ip"], incoming["remote_port"]) == (LOOPBACK[family], own_port)
    for event in outgoing, incoming:
        assert_owner(event)
        assert closing - begun < event["duration_ns"] < after - before
        assert closing <= event["timestamp"] <= after
        assert 0 < event["smoothed_rtt_us"] < 10 ** 6
        assert event["retransmits"] == 0
        assert event["network_namespace"] == os.stat("/proc/self/ns/net").st_ino


def test_mapped_addresses_are_ipv4(server, listen):
    listener, (_, port) = listen()
    opener = socket.create_connection(("::ffff:127.0.0.1", port))
    peer, _ = listener.accept()
    opener.close()
    closed(peer)
    outgoing, incoming = end_events(server, listener)
    assert outgoing["remote_ip"] == incoming["local_ip"] == "127.0.0.1"


def test_a_half_closed_connection(server, listen):
    """Who shut down first ended it, whatever came afterwards."""
    listener, _ = listen()
    opener, peer = connect(listener)
    send(opener, peer, 101)
    opener.shutdown(socket.SHUT_WR)
    assert peer.recv(1) == b""
    send(peer, opener, 10_007)
    peer.close()
    closed(opener)
    outgoing, incoming = end_events(server, listener)
    assert (outgoing["ended_by"], incoming["ended_by"]) == ("local", "remote")
    assert (outgoing["bytes_sent"], outgoing["bytes_received"]) == (101, 10_007)
    assert (incoming["bytes_sent"], incoming["bytes_received"]) == (10_007, 101)


@pytest.mark.parametrize("by", ["opener", "peer"])
@pytest.mark.parametrize("how", ["linger", "unread", "after the other's FIN"])
def test_resets(server, listen, by, how):
    listener, _ = listen()
    opener, peer = connect(listener)
    one, other = (opener, peer) if by == "opener" else (peer, opener)
    if how == "unread":
        other.sendall(b"x" * 127)
        one.recv(1, socket.MSG_PEEK)
        one.close()
    elif how == "linger":
        reset(one)
    else:
        other.shutdown(socket.SHUT_WR)
        assert one.recv(1) == b""
        reset(one)
    outgoing, incoming = end_events(server, listener)
    of_one, of_other = (outgoing, incoming) if by == "opener" else (incoming, outgoing)
    assert (of_one["ended_by"], of_other["ended_by"]) == ("local_reset", "remote_reset")
    unread = 127 if how == "unread" else 0
    assert (of_one["bytes_received"], of_other["bytes_sent"]) == (unread, unread)
    assert (of_one["bytes_sent"], of_other["bytes_received"]) == (0, 0)
    assert_owner(of_one)
    # Of the accepted end that was reset nobody has been seen, unless it shut down itself.
    if of_other is incoming and how != "after the other's FIN":
        assert_nobody(of_other)
    else:
        assert_owner(of_other)
    other.close()
    assert server.events("tcp_life", 1, remote_port=listener.getsockname()[1])


@pytest.mark.parametrize("family", LOOPBACK, ids=lambda family: family.name)
def test_refused(server, family):
    with socket.socket(family, socket.SOCK_STREAM) as bound:  # nobody listens there
        bound.bind((LOOPBACK[family], 0))
        port = bound.getsockname()[1]
        with socket.socket(family, socket.SOCK_STREAM) as opener, \
                pytest.raises(ConnectionRefusedError):
            opener.connect((LOOPBACK[family], port))
        [event] = server.events("tcp_life", 1, remote_port=port)
    assert (event["direction"], event["ended_by"]) == ("outgoing", "refused")
    assert (event["bytes_sent"], event["bytes_received"], event["retransmits"]) == (0, 0, 0)
    assert event["smoothed_rtt_us"] is None and event["duration_ns"] > 0
    assert_owner(event)


def test_what_is_no_connection(server, listen):
    """Listeners, sockets that were bound or only made, Unix and UDP sockets."""
    ports = []
    for family in LOOPBACK:
        listener, address = listen(family)
        listener.close()
        ports.append(address[1])
        with socket.socket(family, socket.SOCK_STREAM) as bound:
            bound.bind((LOOPBACK[family], 0))
            ports.append(bound.getsockname()[1])
        with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
            datagrams.connect(address[:2])
    listener, _ = listen()
    opener, peer = connect(listener)
    opener.close()
    closed(peer)
    end_events(server, listener)
    ports = ",".join(map(str, ports))
    for end in "local_port", "remote_port":
        assert server.api("/api/events", type="tcp_life", **{end: ports})["total_count"] == 0


def test_begun_before_the_program(start_server, listen):
    """No duration, no direction; the bytes are the socket's own, and so complete."""
    listener, (_, port) = listen()
    opener, peer = connect(listener)
    send(opener, peer, 503)
    server = start_server("--programs", "tcp_life")
    send(opener, peer, 509)
    opener.close()
    closed(peer)
    [one] = server.events("tcp_life", 1, remote_port=port)
    [other] = server.events("tcp_life", 1, local_port=port)
    for event in one, other:
        assert (event["duration_ns"], event["direction"]) == (None, None)
        assert_owner(event)  # who closed it
    assert (one["bytes_sent"], one["ended_by"]) == (1012, "local")
    assert (other["bytes_received"], other["ended_by"]) == (1012, "remote")


OPENER = """
import socket, sys
ends = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
for index, end in enumerate(ends):
    end.sendall(b"x" * (index + 1))
    end.shutdown(socket.SHUT_WR)
    while end.recv(1000): pass
"""


def test_many(server, listen):
    """Another process's; each connection's bytes."""
    listener, (_, port) = listen()
    with subprocess.Popen([sys.executable, "-c", OPENER, str(port), str(MANY)]) as process:
        peers = [listener.accept()[0] for _ in range(MANY)]
        for peer in peers:
            while peer.recv(1000):
                pass
            peer.sendall(b"y" * 11)
            peer.close()
        assert process.wait(DEADLINE) == 0
    outgoing = server.events("tcp_life", MANY, remote_port=port)
    incoming = server.events("tcp_life", MANY, local_port=port)
    assert {event["pid"] for event in outgoing} == {process.pid}
    assert {event["pid"] for event in incoming} == {os.getpid()}
    assert sorted(event["bytes_sent"] for event in outgoing) == list(range(1, MANY + 1))
    by_port = {event["local_port"]: event for event in outgoing}
    assert len(by_port) == MANY
    for event in incoming:
        other = by_port[event["remote_port"]]
        assert (event["bytes_received"], other["bytes_received"]) == (other["bytes_sent"], 11)
        assert (event["ended_by"], other["ended_by"]) == ("remote", "local")


def test_filters_are_the_owners(start_server, listen):
    """Whichever task was interrupted at the end; so the ledger is exact on a busy machine."""
    server = start_server("--programs", "tcp_life", "--set", f"tcp_life.only_uid={UID}")
    listener, (_, port) = listen()
    with subprocess.Popen([sys.executable, "-c", OPENER, str(port), str(MANY)], user=UID,
                          cwd="/") as process:
        for _ in range(MANY):
            peer, _ = listener.accept()
            while peer.recv(1000):
                pass
            peer.close()
        assert process.wait(DEADLINE) == 0
    events = server.events("tcp_life", MANY, remote_port=port)
    assert {(event["pid"], event["uid"]) for event in events} == {(process.pid, UID)}
    counts = settled_ledger(server, "tcp_life", lambda counts: counts["filtered"] >= MANY)
    assert (counts["stored"], counts["lost"]) == (MANY, 0)
    for parameters, stored in ((f'"only_uid":-1,"only_pid":{os.getpid()}', 1),
                               ('"only_pid":0,"only_command":"nobody"', 0)):
        response = server.api.request("PATCH", "/api/programs/tcp_life",
                                      body=f'{{"parameters":{{{parameters}}}}}'.encode())
        assert response.status == 200, response.text
        listener, (_, port) = listen()
        opener, peer = connect(listener)
        opener.close()
        closed(peer)
        for end in "local_port", "remote_port":
            answer = server.api("/api/events", type="tcp_life", **{end: port})
            assert answer["total_count"] == stored


def test_timeouts_and_retransmits(start_server, netns):
    """The other side falls silent: segments are sent again, and counted once as bytes."""
    near, far = netns
    server = start_server("--programs", "tcp_life")
    listener = socket_in(far, socket.AF_INET, socket.SOCK_STREAM)
    opener = socket_in(near, socket.AF_INET, socket.SOCK_STREAM)
    with listener, opener:
        listener.bind(("10.77.0.2", 0))
        listener.listen()
        opener.connect(listener.getsockname())
        peer, _ = listener.accept()
        send(opener, peer, 211)
        far.nft("table ip silent { chain in { type filter hook input priority 0; policy drop; }\n}")
        opener.setsockopt(socket.IPPROTO_TCP, 18, 1500)  # TCP_USER_TIMEOUT
        opener.sendall(b"x" * 223)
        opener.settimeout(DEADLINE)
        with pytest.raises(TimeoutError):
            assert opener.recv(1)
        [event] = server.events("tcp_life", 1, remote_port=listener.getsockname()[1])
        assert (event["ended_by"], event["direction"]) == ("timeout", "outgoing")
        assert event["retransmits"] >= 1
        assert (event["bytes_sent"], event["bytes_received"]) == (434, 0)
        assert event["network_namespace"] == near.inode
        peer.close()


def test_off_until_asked_for(server, start_server):
    assert server.api("/api/programs/tcp_life")["hook"] == "tp_btf/inet_sock_set_state"
    assert start_server().api("/api/programs/tcp_life")["status"] == "disabled"
