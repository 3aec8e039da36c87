# SPDX-License-Identifier: MIT
"""The machine that a run was made on, as far as it explains the figures."""
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _first(path, pattern):
    try:
        match = re.search(pattern, pathlib.Path(path).read_text(), re.MULTILINE)
    except OSError:
        return None
    return match[1].strip() if match else None


def describe():
    memory = _first("/proc/meminfo", r"^MemTotal:\s+(\d+)")
    return {
        "processor": _first("/proc/cpuinfo", r"^(?:model name|Model)\s*:(.*)") or
        platform.machine(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20, 1) if memory else None,
        "kernel": re.match(r"[\d.]+", platform.release())[0],
        "virtual": bool(_first("/proc/cpuinfo", r"^flags\s*:.*(hypervisor)")),
        "system": _first("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)') or "unknown",
        "load_average": os.getloadavg()[0],
    }


def other_programs():
    """eBPF programs of others that hang on what is measured here: they are in every figure.
    None when nobody can tell."""
    bpftool = shutil.which("bpftool", path=PATH)
    if not bpftool:
        return None
    done = subprocess.run([bpftool, "-j", "prog", "show"], capture_output=True, check=False)
    try:
        programs = json.loads(done.stdout or b"[]")
    except ValueError:
        return None
    kinds = ("tracepoint", "raw_tracepoint", "tracing", "kprobe", "perf_event")
    return sorted(program.get("name", "?") for program in programs
                  if isinstance(program, dict) and program.get("type") in kinds)
