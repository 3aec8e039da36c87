# SPDX-License-Identifier: MIT
"""connection: calls that are wrong. The descriptor, the address, its length."""
import pytest

from harness.expect import assert_connection, internet, local, sockaddr_in, sockaddr_un

IPV4, IPV6 = "127.0.0.1", "::1"
MAXIMUM = 128  # sizeof(struct sockaddr_storage)


@pytest.fixture(scope="module")
def server(shared_server):
    return shared_server


@pytest.mark.parametrize("fd, code", [("closed", -9), ("pipe", -88)])
def test_a_descriptor_that_is_no_socket(server, trigger, fd, code):
    """No socket, no type and no protocol; where it was to go to is known all the same."""
    made = trigger("tcp4", f"{IPV4}:1", fd=fd, count=5)
    for event, call in zip(server.events("connection", 5, pid=made.pid), made.calls):
        assert_connection(event, made, call, return_code=code, address_family=2,
                          **internet(IPV4, 1))


@pytest.mark.parametrize("fd", [-1, 1_000_003, 2 ** 31 - 1, -(2 ** 31)])
def test_a_descriptor_beyond_the_table(server, trigger, fd):
    made = trigger("tcp4", f"{IPV4}:1", fd=fd)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, return_code=-9, address_family=2, **internet(IPV4, 1))


@pytest.mark.parametrize("kind, address", [("tcp4", f"{IPV4}:1"), ("udp6", f"[{IPV6}]:1"),
                                           ("unix", "/nowhere")])
def test_a_pointer_that_cannot_be_read(server, trigger, kind, address):
    made = trigger(kind, address, bad_pointer=True, count=3)
    for event, call in zip(server.events("connection", 3, pid=made.pid), made.calls):
        assert_connection(event, made, call, kind=kind, return_code=-14, error="EFAULT")


def test_a_pointer_that_cannot_be_read_and_no_socket(server, trigger):
    made = trigger("tcp4", f"{IPV4}:1", bad_pointer=True, fd="closed")
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, address_family=0, return_code=made.call.return_code)


@pytest.mark.parametrize("length", [0, 1, 2, 7, -1, -(2 ** 31), 2 ** 31 - 1, MAXIMUM + 1])
@pytest.mark.parametrize("kind, address", [("tcp4", f"{IPV4}:1"), ("tcp6", f"[{IPV6}]:1")])
def test_lengths_that_hold_no_address(server, trigger, kind, address, length):
    made = trigger(kind, address, length=length)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind=kind, return_code=-22, error="EINVAL")


@pytest.mark.parametrize("length", [8, 15, 16, 23, 24, 28, MAXIMUM])
def test_lengths_that_hold_an_ipv4_address(server, trigger, length):
    """The kernel wants 16 of it; what was asked for is in the first 8."""
    made = trigger("tcp4", f"{IPV4}:1", length=length)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="tcp4", return_code=-22 if length < 16 else -111,
                      **internet(IPV4, 1))


@pytest.mark.parametrize("length", [8, 15, 16, 23, 24, 27, 28, MAXIMUM])
def test_lengths_of_an_ipv6_address(server, trigger, length):
    """Without its scope it has 24 bytes, and that is enough for the kernel (RFC 2133)."""
    made = trigger("tcp6", f"[{IPV6}]:1", length=length)
    [event] = server.events("connection", 1, pid=made.pid)
    whole = internet(IPV6, 1) if length >= 24 else {}
    assert_connection(event, made, kind="tcp6", return_code=-111 if length >= 24 else -22, **whole)


@pytest.mark.parametrize("length, shown", [(3, "/"), (7, "/abcd"), (8, "/abcde"), (9, "/abcde"),
                                           (15, "/abcde"), (24, "/abcde"), (MAXIMUM, "/abcde")])
def test_lengths_of_a_unix_address(server, trigger, length, shown):
    """The name ends at its NUL or where the length says, whichever comes first."""
    made = trigger("unix", "/abcde", length=length)
    assert made.call.return_code < 0
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="unix", **local(shown))


@pytest.mark.parametrize("length", [0, 1, 2])
def test_lengths_that_hold_no_unix_address(server, trigger, length):
    made = trigger("unix", "/abcde", length=length)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="unix", return_code=-22)


# ---- where the address lies ----

def test_an_address_in_no_page_table_yet(server, trigger, tmp_path):
    """A program must not fault pages in: what cannot be read at entry is read at exit."""
    for kind, address, fields in (("tcp4", f"{IPV4}:1", internet(IPV4, 1)),
                                  ("tcp6", f"[{IPV6}]:1", internet(IPV6, 1)),
                                  ("unix", f"{tmp_path}/none", local(f"{tmp_path}/none"))):
        made = trigger(kind, address, cold=True, count=1)
        [event] = server.events("connection", 1, pid=made.pid)
        assert_connection(event, made, kind=kind, **fields)


@pytest.mark.parametrize("kind, address, length, fields", [
    ("tcp4", sockaddr_in(IPV4, 1), 16, internet(IPV4, 1)),
    ("unix", sockaddr_un(b"/path"), 7, local("/path")),
    ("unix", sockaddr_un(b"\0name\0"), 8, local("@name@")),
    ("unix", sockaddr_un(b"/" + b"z" * 107), 110, local("/" + "z" * 107)),
])
def test_an_address_at_the_very_end_of_memory(server, trigger, kind, address, length, fields):
    """Not one byte behind it can be read."""
    made = trigger(kind, address, hex=True, mapped=length)
    assert made.call.return_code in (-2, -111)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind=kind, **fields)


@pytest.mark.parametrize("kind, address, mapped", [
    ("tcp4", f"{IPV4}:1", 1), ("tcp4", f"{IPV4}:1", 7), ("tcp4", f"{IPV4}:1", 15),
    ("tcp6", f"[{IPV6}]:1", 23), ("tcp6", f"[{IPV6}]:1", 27),
    ("unix", "/half-of-a-path", 6), ("unix", "/half-of-a-path", 10),
    ("unix", "/and-half-of-a-longer-path", 25),
])
def test_an_address_of_which_a_part_cannot_be_read(server, trigger, kind, address, mapped):
    """The kernel takes nothing from half an address, so nothing is told of it."""
    made = trigger(kind, address, mapped=mapped)
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind=kind, return_code=-14)
