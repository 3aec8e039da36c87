# SPDX-License-Identifier: MIT
"""Whole events compared with what must be in them: no field more, none less, none unlooked at."""
import errno
import os
import socket
import struct

from .btf import drop_reason, is_location
from .kernel import boot_to_real_offset_ns, cgroup_id, parse_rfc3339_ns

# How far `time` may be from the wall clock: the clock is being adjusted while it is compared.
CLOCK_TOLERANCE_NS = 50_000_000

# The kernel's own code for an interrupted call (include/linux/errno.h): libc never shows it.
ERESTARTSYS = 512

CONNECTION_FIELDS = ("return_code", "error", "protocol", "address_family", "socket_type",
                     "watched", "destination_port", "destination_ip", "destination",
                     "destination_path")
DROP_FIELDS = ("drop_reason", "skb_length", "packet_size_bytes", "network_namespace", "interface",
               "ether_type", "protocol", "watched", "source_ip", "destination_ip", "source_port",
               "destination_port")

# AF_INET and the like as (address_family, socket_type, protocol), by the trigger's kinds.
SOCKETS = {
    "tcp4": (2, "STREAM", "TCP"), "tcp6": (10, "STREAM", "TCP"),
    "udp4": (2, "DGRAM", "UDP"), "udp6": (10, "DGRAM", "UDP"),
    "udplite4": (2, "DGRAM", "UDPLITE"), "mptcp4": (2, "STREAM", "MPTCP"),
    "sctp4": (2, "STREAM", "SCTP"), "sctp4-many": (2, "SEQPACKET", "SCTP"),
    "sctp6": (10, "STREAM", "SCTP"),
    "icmp4": (2, "DGRAM", "ICMP"), "icmp6": (10, "DGRAM", "ICMPV6"),
    "raw4": (2, "RAW", "ICMP"), "rawip4": (2, "RAW", "RAW"), "raw6": (10, "RAW", "ICMPV6"),
    "unix": (1, "STREAM", "UNIX"), "unix-dgram": (1, "DGRAM", "UNIX"),
    "unix-seqpacket": (1, "SEQPACKET", "UNIX"),
    "netlink": (16, "RAW", "NETLINK"), "vsock": (40, "STREAM", "VSOCK"),
    "unspec": (2, "DGRAM", "UDP"),
}


def error_name(return_code):
    if return_code == -ERESTARTSYS:
        return "ERESTARTSYS"
    return errno.errorcode[-return_code] if return_code < 0 else None


def own_fields(event, type, **header):
    """Asserts what every event has, and returns what is left: the program's own fields.

    `header` are pid, tid, uid, command and cgroup_id; cgroup_id is this process's unless said
    otherwise. One that is None may be any: whoever ran on that CPU.
    """
    own = dict(event)
    header = {"cgroup_id": cgroup_id()} | header
    assert set(header) == {"pid", "tid", "uid", "command", "cgroup_id"}
    assert own.pop("type") == type
    identity = own.pop("id")
    assert isinstance(identity, str) and identity
    timestamp = own.pop("timestamp")
    wall = parse_rfc3339_ns(own.pop("time"))
    assert abs(wall - (timestamp + boot_to_real_offset_ns())) < CLOCK_TOLERANCE_NS
    for name, expected in header.items():
        value = own.pop(name)
        if expected is None:
            assert isinstance(value, str if name == "command" else int), (name, value)
        else:
            assert value == expected, (name, event)
    return own


def assert_connection(event, made, call=None, *, kind=None, command="trigger", group=None,
                      **fields):
    """A whole `connection` event against the call that made it.

    `kind` gives family, type and protocol by the trigger's names; return_code and error are those
    that user space saw; every destination field that is not given must be null. Times are compared
    with those around the call.
    """
    call = call or made.call
    header = {"pid": made.pid, "tid": call.tid, "uid": made.uid, "command": command}
    if group is not None:
        header["cgroup_id"] = group
    own = own_fields(event, "connection", **header)
    duration = own.pop("duration_ns")
    assert isinstance(duration, int) and duration >= 0
    assert call.begin_ns <= event["timestamp"] - duration <= event["timestamp"] <= call.end_ns
    expected = dict.fromkeys(CONNECTION_FIELDS) | {"watched": False}
    if kind is not None:
        (expected["address_family"], expected["socket_type"], expected["protocol"]) = SOCKETS[kind]
    expected["return_code"] = call.return_code
    assert not set(fields) - set(expected)
    expected |= fields
    if "error" not in fields:
        expected["error"] = error_name(expected["return_code"])
    assert own == expected


def internet(ip, port):
    """The destination fields of an address."""
    return {"destination_ip": ip, "destination_port": port,
            "destination": f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"}


def local(path):
    """The destination fields of a Unix address."""
    return {"destination": path, "destination_path": path}


def assert_drop(event, reason, *, pid=None, tid=None, uid=None, command=None, cgroup=None,
                location=None, **fields):
    """A whole `packet_drop` event. Fields that are not given must be null; who ran on the CPU may
    be any unless said. `location` is the kernel function where it matters which."""
    header = {"pid": pid, "tid": tid, "uid": uid, "command": command, "cgroup_id": cgroup}
    own = own_fields(event, "packet_drop", **header)
    place = own.pop("location")
    assert is_location(place), place
    assert location is None or place.partition("+")[0] == location, place
    assert own.pop("drop_reason_code") == drop_reason(reason)
    expected = dict.fromkeys(DROP_FIELDS) | {"drop_reason": reason, "watched": False}
    assert not set(fields) - set(expected)
    assert own == expected | fields


def this_process():
    """The header of what this thread of the test itself does."""
    with open("/proc/thread-self/comm", encoding="utf-8") as file:
        command = file.read().rstrip("\n")
    return {"pid": os.getpid(), "tid": int(os.readlink("/proc/thread-self").rpartition("/")[2]),
            "uid": os.getuid(), "command": command, "cgroup": cgroup_id()}


def sockaddr_un(path):
    """struct sockaddr_un as the trigger takes it with hex=True; no NUL is added."""
    return (struct.pack("=H", socket.AF_UNIX) + path).hex()


def sockaddr_in(ip, port):
    return (struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) +
            socket.inet_aton(ip) + bytes(8)).hex()
