# SPDX-License-Identifier: MIT
"""Sockets of the test itself in a network namespace, and frames put on a wire byte by byte."""
import contextlib
import ctypes
import json
import os
import socket

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(descriptor):
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(namespace):
    """This thread is in the network namespace meanwhile; None leaves it where it is."""
    if namespace is None:
        yield
        return
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(other)
        finally:
            os.close(other)
        try:
            yield
        finally:
            _setns(own)
    finally:
        os.close(own)


def socket_in(namespace, family, kind, protocol=0):
    """A socket that belongs to a namespace for good: sockets stay where they were made."""
    with inside(namespace):
        return socket.socket(family, kind, protocol)


class Wire:
    """An interface of a namespace, to send frames from: harness.packets makes them."""

    def __init__(self, namespace, interface="veth0"):
        self.socket = socket_in(namespace, socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind((interface, 0))
        self.mac = mac_of(namespace, interface)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, frame, count=1):
        for _ in range(count):
            assert self.socket.send(frame) == len(frame)


def mac_of(namespace, interface="veth0"):
    text = json.loads(namespace.ip("-json", "link", "show", "dev", interface))[0]["address"]
    return bytes.fromhex(text.replace(":", ""))
