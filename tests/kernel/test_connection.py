# SPDX-License-Identifier: MIT
"""connection: every kind of connect(2), each event compared whole with the call that made it."""
import contextlib
import errno
import os
import socket
import struct

import pytest

from harness.expect import assert_connection, internet, local, sockaddr_in, sockaddr_un

IPV4, IPV6 = "127.0.0.1", "::1"


@pytest.fixture(scope="module")
def server(shared_server):
    return shared_server


def endpoint(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


@contextlib.contextmanager
def listening(family, kind, address):
    """A socket bound there, listening where its kind listens; its port or name is the value."""
    with socket.socket(family, kind) as listener:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        if kind != socket.SOCK_DGRAM:
            listener.listen(64)
        name = listener.getsockname()
        yield name[1] if family != socket.AF_UNIX else name


@contextlib.contextmanager
def closed_port(family, kind, ip):
    """A port where nobody listens, for as long as this lasts: bound, and no more."""
    with socket.socket(family, kind) as holder:
        holder.bind((ip, 0))
        yield holder.getsockname()[1]


# ---- IP ----

@pytest.mark.parametrize("kind, family, ip", [("tcp4", socket.AF_INET, IPV4),
                                              ("tcp6", socket.AF_INET6, IPV6)])
def test_tcp_accepted(server, trigger, kind, family, ip):
    with listening(family, socket.SOCK_STREAM, (ip, 0)) as port:
        made = trigger(kind, endpoint(ip, port), count=7)
    events = server.events("connection", 7, pid=made.pid)
    for event, call in zip(events, made.calls):
        assert call.return_code == 0
        assert_connection(event, made, call, kind=kind, **internet(ip, port))


@pytest.mark.parametrize("kind, family, ip", [("tcp4", socket.AF_INET, IPV4),
                                              ("tcp6", socket.AF_INET6, IPV6)])
def test_tcp_refused(server, trigger, kind, family, ip):
    with closed_port(family, socket.SOCK_STREAM, ip) as port:
        made = trigger(kind, endpoint(ip, port), count=11)
    events = server.events("connection", 11, pid=made.pid)
    for event, call in zip(events, made.calls):
        assert_connection(event, made, call, kind=kind, return_code=-111, error="ECONNREFUSED",
                          **internet(ip, port))


@pytest.mark.parametrize("kind, family, ip", [("udp4", socket.AF_INET, IPV4),
                                              ("udp6", socket.AF_INET6, IPV6)])
def test_udp_and_again_on_the_same_socket(server, trigger, kind, family, ip):
    with listening(family, socket.SOCK_DGRAM, (ip, 0)) as port:
        made = trigger(kind, endpoint(ip, port), count=5, same_socket=True, send=3)
    assert len({call.fd for call in made.calls}) == 1
    events = server.events("connection", 5, pid=made.pid)
    for event, call in zip(events, made.calls):
        assert_connection(event, made, call, kind=kind, return_code=0, **internet(ip, port))


def test_unspec_disconnects(server, trigger):
    made = trigger("unspec", "-", count=3)
    for event, call in zip(server.events("connection", 3, pid=made.pid), made.calls):
        assert_connection(event, made, call, kind="unspec", address_family=0, return_code=0)


def test_protocol_is_the_socket_s_and_not_the_port_s(server, trigger):
    for kind, port in (("udp4", 443), ("udp4", 80), ("tcp4", 53), ("tcp6", 123), ("udp6", 22)):
        ip = IPV6 if kind.endswith("6") else IPV4
        made = trigger(kind, endpoint(ip, port))
        [event] = server.events("connection", 1, pid=made.pid)
        assert_connection(event, made, kind=kind, **internet(ip, port))


def test_nonblocking_is_in_progress(server, trigger, netns):
    """Beyond a wire no connect is over at once, whatever the machine does meanwhile."""
    one, _ = netns
    for kind, ip in (("tcp4", "10.77.0.2"), ("tcp6", "fd77::2")):
        made = trigger(kind, endpoint(ip, 7), namespace=one, nonblocking=True, count=13)
        for event, call in zip(server.events("connection", 13, pid=made.pid), made.calls):
            assert_connection(event, made, call, kind=kind, return_code=-115,
                              error="EINPROGRESS", **internet(ip, 7))


@pytest.mark.parametrize("mapped, kind", [("::ffff:127.0.0.1", "tcp6"),
                                          ("::ffff:127.0.0.1", "udp6")])
def test_v4_mapped_is_shown_as_ipv4(server, trigger, mapped, kind):
    type = socket.SOCK_STREAM if kind == "tcp6" else socket.SOCK_DGRAM
    with listening(socket.AF_INET, type, (IPV4, 0)) as port:
        made = trigger(kind, endpoint(mapped, port), count=2)
    for event, call in zip(server.events("connection", 2, pid=made.pid), made.calls):
        assert_connection(event, made, call, kind=kind, return_code=0, **internet(IPV4, port))
    found = server.api("/api/events", type="connection", pid=made.pid, destination_ip=IPV4)
    assert found["total_count"] == 2


@pytest.mark.parametrize("kind, ip, port", [
    ("tcp4", "0.0.0.0", 1), ("tcp6", "::", 1), ("tcp4", IPV4, 0), ("udp4", "255.255.255.255", 9),
    ("tcp4", IPV4, 65535), ("udp6", "ff02::1", 9), ("tcp6", "fe80::1", 1),
    ("tcp6", "::ffff:0:1", 1), ("udp6", "::1", 65535)])
def test_odd_addresses_are_shown_as_asked_for(server, trigger, kind, ip, port):
    made = trigger(kind, endpoint(ip, port))
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind=kind,
                      **internet("0.0.0.1" if ip == "::ffff:0:1" else ip, port))


@pytest.mark.parametrize("kind, ip", [("udplite4", IPV4), ("mptcp4", IPV4), ("sctp4", IPV4),
                                      ("sctp4-many", IPV4), ("sctp6", IPV6), ("raw4", IPV4),
                                      ("rawip4", IPV4), ("raw6", IPV6)])
def test_other_ip_protocols(server, trigger, kind, ip):
    made = trigger(kind, endpoint(ip, 1), count=3)
    for event, call in zip(server.events("connection", 3, pid=made.pid), made.calls):
        assert_connection(event, made, call, kind=kind, **internet(ip, 1))


def test_ping_sockets(server, trigger, network):
    namespace = network.namespace()
    namespace.sysctl("net.ipv4.ping_group_range", "0 65535")
    for kind, ip in (("icmp4", IPV4), ("icmp6", IPV6)):
        made = trigger(kind, endpoint(ip, 0), namespace=namespace)
        [event] = server.events("connection", 1, pid=made.pid)
        assert_connection(event, made, kind=kind, return_code=0, **internet(ip, 0))


def test_an_address_of_another_family(server, trigger):
    """The address says IPv4, the socket is another's: both are told as they are."""
    for kind, expected in (("unix", -errno.EINVAL), ("tcp6", None)):
        made = trigger(kind, sockaddr_in(IPV4, 1), hex=True)
        assert expected in (None, made.call.return_code)
        [event] = server.events("connection", 1, pid=made.pid)
        assert_connection(event, made, kind=kind, address_family=2, **internet(IPV4, 1))


# ---- Unix ----

@pytest.mark.parametrize("kind, type", [("unix", socket.SOCK_STREAM),
                                        ("unix-dgram", socket.SOCK_DGRAM),
                                        ("unix-seqpacket", socket.SOCK_SEQPACKET)])
def test_unix_paths(server, trigger, tmp_path, kind, type):
    path = str(tmp_path / "socket")
    with listening(socket.AF_UNIX, type, path):
        made = trigger(kind, path, count=3)
    for event, call in zip(server.events("connection", 3, pid=made.pid), made.calls):
        assert_connection(event, made, call, kind=kind, return_code=0, **local(path))
    made = trigger(kind, path)  # the file is there, nobody behind it
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind=kind, return_code=-111, **local(path))


def test_unix_path_that_is_missing(server, trigger, tmp_path):
    path = str(tmp_path / "none")
    made = trigger("unix", path)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="unix", return_code=-2, error="ENOENT", **local(path))


@pytest.mark.parametrize("length", [107, 108])
def test_unix_path_that_fills_the_field(server, trigger, tmp_path, length):
    """Of 108 bytes it has no NUL, and all of it counts (unix(7))."""
    path = str(tmp_path)
    path += "/" + "x" * (length - len(path) - 1)
    assert len(path) == length
    with open(path, "w", encoding="ascii"):
        made = trigger("unix", path)
    os.unlink(path)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="unix", return_code=-111, **local(path))


@pytest.mark.parametrize("name", [b"plain", b"with\0inner\0\0nul", b"\0\0\0", b"x" * 107])
def test_abstract_names(server, trigger, name):
    name = name if len(name) == 107 else b"ebpf-test-%d-" % os.getpid() + name
    shown = "@" + name.decode().replace("\0", "@")
    with listening(socket.AF_UNIX, socket.SOCK_STREAM, b"\0" + name):
        made = trigger("unix", sockaddr_un(b"\0" + name), hex=True, count=2)
    for event, call in zip(server.events("connection", 2, pid=made.pid), made.calls):
        assert_connection(event, made, call, kind="unix", return_code=0, **local(shown))


def test_abstract_name_that_the_kernel_chose(server, trigger):
    """Bound to no name, a socket gets one of five hexadecimal digits (unix(7), autobind)."""
    with listening(socket.AF_UNIX, socket.SOCK_STREAM, "") as name:
        assert len(name) == 6 and name[:1] == b"\0"
        made = trigger("unix", sockaddr_un(name), hex=True)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="unix", return_code=0, **local("@" + name[1:].decode()))


@pytest.mark.parametrize("path, shown", [
    (b"/a\0b/c", "/a"),
    (b"relative", "relative"),
    (b"/q\"\\\n\x1b[31m", "/q\"\\\n\x1b[31m"),
    (b"/\xff\xc3\xa9\xfe", "/\ufffd\u00e9\ufffd"),
    (b"/" + b"y" * 109, "/" + "y" * 107),
])
def test_odd_unix_paths(server, trigger, path, shown):
    made = trigger("unix", sockaddr_un(path), hex=True)
    assert made.call.return_code in (-2, -22)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="unix", **local(shown))


def test_unix_address_without_a_path(server, trigger):
    made = trigger("unix", sockaddr_un(b""), hex=True)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="unix", return_code=-22)


# ---- families without IP ----

def test_netlink(server, trigger):
    made = trigger("netlink", "0", count=3)
    for event, call in zip(server.events("connection", 3, pid=made.pid), made.calls):
        assert_connection(event, made, call, kind="netlink", return_code=0)


def test_vsock(server, trigger):
    made = trigger("vsock", "1:1")
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="vsock")


@pytest.mark.parametrize("family", [15, 3855, 65535])
def test_address_families_that_the_socket_does_not_take(server, trigger, family):
    made = trigger("tcp4", (struct.pack("=H", family) + bytes(14)).hex(), hex=True)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="tcp4", address_family=family, return_code=-97)
