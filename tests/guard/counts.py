#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts instructions: of the hot paths under callgrind, and of the verifier for each eBPF
function; and keeps the baseline that they are compared with.

Run as a program it measures and prints a new baseline: entries of other combinations of compiler
and kernel stay as they are (`make guard-update`).
"""
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build" / "test" / "guard"
BASELINE = pathlib.Path(__file__).with_name("baseline.json")
TIMEOUT = 120

# The C library chooses its string functions by the CPU, unless told that there is only SSE2: counts
# are to be the same on every machine of an architecture.
PLAIN_CPU = "glibc.cpu.hwcaps=" + ",".join(
    "-" + name for name in ("AVX", "AVX2", "AVX512F", "AVX512VL", "AVX512BW", "BMI2", "ERMS",
                            "FSRM", "AVX_Fast_Unaligned_Load", "RTM", "SSE4_1", "SSE4_2", "SSSE3"))


class Unavailable(Exception):
    """What cannot be counted here, and why."""


def _run(tool, *arguments, before=(), **keywords):
    path = TOOLS / tool
    if not path.exists():
        raise RuntimeError(f"{path} is not built: make guard-tools")
    done = subprocess.run([*before, path, *arguments], capture_output=True, text=True,
                          timeout=TIMEOUT, **keywords)
    if done.returncode:
        raise RuntimeError(f"{tool} {' '.join(arguments)}: exit status {done.returncode}\n"
                           f"{done.stdout}{done.stderr}")
    return done.stdout


def inclusive_costs(lines):
    """{function: instructions, callees included} of the path_* functions in a callgrind file.

    The format (https://valgrind.org/docs/manual/cl-format.html): "cfn=" names the callee of the
    next "calls=", and the line after that ends with the inclusive cost.
    """
    costs, callee, is_cost = {}, "", False
    for line in lines:
        if is_cost and callee.startswith("path_"):
            costs[callee] = costs.get(callee, 0) + int(line.split()[-1])
        is_cost = line.startswith("calls=")
        if line.startswith("cfn="):
            callee = line[4:].strip()
    return costs


def _under_callgrind():
    valgrind = shutil.which("valgrind")
    if not valgrind:
        raise Unavailable("there is no valgrind here (make dev-setup)")
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        # Nothing of this environment: its size moves the stack.
        _run("hot_paths", before=[
            valgrind, "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-strings=no",
            "--dump-line=no"], env={"PATH": os.defpath, "GLIBC_TUNABLES": PLAIN_CPU})
        with open(out, encoding="utf-8", errors="replace") as file:
            return inclusive_costs(file)


class Paths:
    """The hot paths: instructions an event, or a query."""
    section = "instructions"
    what = "instructions"

    def __init__(self):
        described = json.loads(_run("hot_paths", "--describe"))
        self.key = described["build"]
        self._paths = described["paths"]
        self.names = list(self._paths)

    @functools.cached_property
    def counts(self):
        costs = _under_callgrind()
        return {name: round(costs[f"path_{name}"] / path["count"], 3)
                for name, path in self._paths.items()}

    def unit(self, name):
        return f"instructions per {self._paths[name]['unit']}"

    @staticmethod
    def limit(baseline):
        return baseline * 1.03


class Verifier:
    """The eBPF functions: instructions that the verifier processed. None: does not load here."""
    section = "verifier"

    def __init__(self):
        described = json.loads(_run("verifier_counts", "--describe"))
        release = re.match(r"\d+\.\d+", os.uname().release)[0]
        self.key = f"kernel {release}, {described['build']}"
        self.names = list(described["functions"])

    @functools.cached_property
    def functions(self):
        return json.loads(_run("verifier_counts"))["functions"]

    @functools.cached_property
    def counts(self):
        return {name: function.get("insns") for name, function in self.functions.items()}

    @staticmethod
    def unit(_name):
        return "instructions verified"

    @staticmethod
    def limit(baseline):
        return baseline * 1.03 + 5


def baseline():
    """{section: {key: {name: count}}}"""
    return json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}


def text(guard, name, count):
    return f"{name}: " + ("does not load here" if count is None
                          else f"{count:g} {guard.unit(name)}")


def main():
    kept = baseline()
    for kind in (Paths, Verifier):
        guard = kind()
        try:
            counts = guard.counts
        except Unavailable as reason:
            print(f"{guard.key}: left as it is: {reason}", file=sys.stderr)
            continue
        before = kept.setdefault(guard.section, {}).get(guard.key, {})
        print(f"{guard.key}", file=sys.stderr)
        for name, count in counts.items():
            was = f" (was {before[name]})" if before.get(name, count) != count else ""
            print(f"  {text(guard, name, count)}{was}", file=sys.stderr)
        kept[guard.section][guard.key] = counts
    json.dump(kept, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
