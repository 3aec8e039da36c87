# SPDX-License-Identifier: MIT
"""What the running kernel says of itself: enums of its BTF, by bpftool, and its symbols."""
import functools
import json
import re
import subprocess

from .kernel import BPFTOOL


@functools.lru_cache(maxsize=None)
def enum(name):
    """{"SKB_DROP_REASON_NO_SOCKET": 3, …} of an enum of the kernel."""
    assert BPFTOOL, "bpftool is missing: make deps-test"
    out = subprocess.run([BPFTOOL, "-j", "btf", "dump", "file", "/sys/kernel/btf/vmlinux"],
                         check=True, capture_output=True).stdout
    for item in json.loads(out)["types"]:
        if item["kind"] == "ENUM" and item["name"] == name:
            return {value["name"]: value["val"] for value in item["values"]}
    raise AssertionError(f"this kernel's BTF has no enum {name}")


def drop_reason(name):
    """The running kernel's number for "NO_SOCKET"; None where it does not know the name."""
    return enum("skb_drop_reason").get("SKB_DROP_REASON_" + name)


@functools.lru_cache(maxsize=None)
def functions():
    """Names of all functions in the kernel and its modules."""
    with open("/proc/kallsyms", encoding="ascii") as file:
        return {fields[2] for fields in map(str.split, file) if fields[1] in "tTwW"}


def is_location(text):
    """Whether `text` is a place in the kernel: function+0xoffset."""
    match = re.fullmatch(r"([^+\s]+)\+0x([0-9a-f]+)", text)
    return bool(match) and match[1] in functions()
