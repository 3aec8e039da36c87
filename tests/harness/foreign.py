# SPDX-License-Identifier: MIT
"""An XDP program of somebody else's on an interface: it lets every packet pass."""
import ctypes
import os
import platform
import struct

from .sockets import inside

_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "armv7l": 386}
_PROG_LOAD, _LINK_CREATE, _OBJ_GET_INFO = 5, 28, 15
_TYPE_XDP, _ATTACH_XDP, XDP_PASS = 6, 37, 2
NAME = "somebody_elses"
GENERIC, NATIVE = 1 << 1, 1 << 2
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = _libc.syscall(_BPF[platform.machine()], command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf({command})")
    return result


class ForeignXdp:
    """Holds the program by a link of this process; gone after the context."""

    def __init__(self, namespace, interface="veth0", mode=NATIVE):
        # r0 = XDP_PASS; exit
        code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xb7, 0, 0, XDP_PASS,
                                                       0x95, 0, 0, 0))
        license = ctypes.create_string_buffer(b"GPL")
        self.program = _bpf(_PROG_LOAD, struct.pack(
            "=IIQQIIQII16sI", _TYPE_XDP, 2, ctypes.addressof(code), ctypes.addressof(license),
            0, 0, 0, 0, 0, NAME.encode(), 0) + bytes(64))
        try:
            with inside(namespace):
                self.link = _bpf(_LINK_CREATE, struct.pack(
                    "=IIII", self.program, namespace.interface_index(interface), _ATTACH_XDP,
                    mode) + bytes(48))
        except BaseException:
            os.close(self.program)
            raise

    @property
    def id(self):
        with open(f"/proc/self/fdinfo/{self.program}", encoding="ascii") as file:
            return int(dict(line.split(":", 1) for line in file)["prog_id"])

    def is_attached(self, namespace, interface="veth0"):
        shown = namespace.ip("-details", "link", "show", "dev", interface)
        return f"xdp id {self.id} " in shown or f"prog/xdp id {self.id} " in shown

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.link)
        os.close(self.program)
