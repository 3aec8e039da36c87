#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the experiments, prints the table of goals, writes it as JSON. README.md tells more."""
import argparse
import dataclasses
import datetime
import importlib
import json
import os
import pathlib
import signal
import sys
import time

import machine
import peers
import table
from figures import judge
from goals import GOALS
from stand import BenchError, Stand, enter_namespaces

# In the order in which they run. Each is a module of experiments/.
EXPERIMENTS = ("lifecycle", "api", "cpu", "slowdown", "interfaces", "memory", "history", "live",
               "kept")
FULL_ONLY = ("growth",)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="bin/ebpf-server", help="the binary to measure")
    parser.add_argument("--tools", default="build/bench", help="loads and references")
    parser.add_argument("--objects", default="build/bpf", help="the server's eBPF objects")
    parser.add_argument("--quick", action="store_true", help="short loads, no curves")
    parser.add_argument("--only", action="append", choices=EXPERIMENTS + FULL_ONLY,
                        help="this experiment alone; may be repeated")
    parser.add_argument("--json", type=pathlib.Path, help="where the results are written")
    return parser.parse_args(arguments)


def run_experiment(stand, name):
    begin, before = time.monotonic(), set(stand.figures)
    print(f"  {'BENCH':8} {name} ", end="", flush=True, file=sys.stderr)
    stand.others.clear()
    try:
        importlib.import_module(f"experiments.{name}").run(stand)
    except (BenchError, OSError, ValueError, KeyError, ZeroDivisionError) as error:
        # One that fails leaves its goals without figures, and says why.
        stand.failures[name] = f"{type(error).__name__}: {error}"
        for figure in set(stand.figures) - before:
            del stand.figures[figure]
        print(f"failed: {error}", file=sys.stderr)
        return
    stand.look_around()
    for figure in set(stand.figures) - before:
        stand.figures[figure].others = tuple(sorted(stand.others))
    print(f"{time.monotonic() - begin:.1f} s", file=sys.stderr)


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    # Started through sudo, it is the user's file.
    if "SUDO_UID" in os.environ and "SUDO_GID" in os.environ:
        os.chown(path, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def end_by_signal(number, _frame):
    raise KeyboardInterrupt(signal.Signals(number).name)


def measure(options):
    names = options.only or (EXPERIMENTS if options.quick else EXPERIMENTS + FULL_ONLY)
    described = machine.describe()
    enter_namespaces()
    with Stand(options.server, options.tools, options.objects, options.quick) as stand:
        for name in names:
            run_experiment(stand, name)
        results = [judge(goal, stand.figures, stand.absent, stand.skipped_peers)
                   for goal in GOALS]
        return {
            "mode": "quick" if options.quick else "full",
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
            "machine": described,
            "packages": peers.versions(),
            "skipped_peers": stand.skipped_peers,
            "failures": stand.failures,
            "results": [dataclasses.asdict(result) for result in results],
            "curves": stand.curves,
        }, results


def main():
    options = parse(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):
        # SIGINT too: a shell starts what runs in the background with it ignored.
        signal.signal(number, end_by_signal)
    for name in [name for name in os.environ if name.startswith("EBPF_SERVER_")]:
        del os.environ[name]
    begin = time.monotonic()
    try:
        document, results = measure(options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: interrupted; nothing is left behind", file=sys.stderr)
        return 130
    document["seconds"] = round(time.monotonic() - begin, 1)
    print(table.terminal(results))
    for name, reason in document["skipped_peers"].items():
        print(f"skipped {name}: {reason}")
    print(f"{table.summary(results)}; {document['seconds']:.0f} s")
    if options.json:
        write(options.json, document)
        print(f"written: {options.json}")
    return 1 if document["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
