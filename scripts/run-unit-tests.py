#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs cmocka executables and writes their results as one JUnit file.

A crash, a timeout, an exit status that no failed test explains, and a skip that names no reason
(printed by the test before skip()) count as failures.
"""
import argparse
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

ADDR_NO_RANDOMIZE = 0x0040000
# Of standard error: where sanitisers say it stands in the first lines.
MAX_ERROR = 4000
PLAN = re.compile(r"^1\.\.(\d+)$")
RESULT = re.compile(r"^(not )?ok \d+ (- |# SKIP )(.*)$")

ENVIRONMENT = {
    "CMOCKA_MESSAGE_OUTPUT": "tap",
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:check_initialization_order=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}


def fixed_addresses():
    """ThreadSanitizer refuses some layouts that address randomisation makes."""
    ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)


def parse_tap(text):
    """Returns (planned number of tests, [(name, outcome, message)])."""
    planned, results, pending = 0, [], []
    for line in text.splitlines():
        plan, result = PLAN.match(line), RESULT.match(line)
        if plan:
            planned += int(plan[1])
            pending = []
        elif result:
            message = "\n".join(pending).strip()
            if result[2].startswith("# SKIP"):
                outcome = "skipped" if message else "failed"
                message = message or "skipped without a reason"
            else:
                outcome = "failed" if result[1] else "passed"
            results.append([result[3], outcome, message])
            pending = []
        elif line.startswith("#") and results and results[-1][1] == "failed":
            results[-1][2] += "\n" + line.lstrip("# ")
        else:
            pending.append(line)
    return planned, results


def run(binary, timeout):
    """Returns ([(name, outcome, message)], seconds)."""
    if not os.path.exists(binary):
        return [["(executable)", "failed", "was not built"]], 0.0
    begin = time.monotonic()
    process = subprocess.Popen(
        [os.path.abspath(binary)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="backslashreplace", start_new_session=True,
        preexec_fn=fixed_addresses, env={**ENVIRONMENT, **os.environ})
    try:
        out, err = process.communicate(timeout=timeout)
        ended = ""
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        ended = f"did not end within {timeout} s"
    seconds = time.monotonic() - begin
    planned, results = parse_tap(out)
    failed = any(outcome == "failed" for _, outcome, _ in results)
    if not ended and process.returncode < 0:
        ended = f"killed by {signal.Signals(-process.returncode).name}"
    elif not ended and process.returncode > 0 and not failed:
        ended = f"exit status {process.returncode}"
    elif not ended and (planned == 0 or len(results) < planned):
        ended = f"{len(results)} of {planned} tests ran"
    if ended:
        results.append(["(executable)", "failed", f"{ended}\n{out[-4000:]}\n{err[:MAX_ERROR]}"])
    elif failed:
        for result in results:
            if result[1] == "failed":
                result[2] += f"\n{err[:MAX_ERROR]}"
    return results, seconds


def report(name, results, seconds):
    count = {outcome: sum(1 for result in results if result[1] == outcome)
             for outcome in ("passed", "failed", "skipped")}
    line = ", ".join(f"{number} {outcome}" for outcome, number in count.items() if number)
    print(f"{'FAIL' if count['failed'] else 'ok':4}  {name}: {line} ({seconds:.1f} s)")
    for test, outcome, message in results:
        if outcome != "passed":
            text = message.replace("\n", "\n            ") if outcome == "failed" else message
            print(f"      {outcome}: {test}: {text}")
    sys.stdout.flush()
    return count["failed"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--junit", required=True, help="file to write")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one executable")
    parser.add_argument("binary", nargs="+")
    arguments = parser.parse_args()

    failures = 0
    root = ET.Element("testsuites")
    for binary in arguments.binary:
        name = os.path.basename(binary)
        results, seconds = run(binary, arguments.timeout)
        failures += report(name, results, seconds)
        suite = ET.SubElement(root, "testsuite", name=name, time=f"{seconds:.3f}")
        for test, outcome, message in results:
            case = ET.SubElement(suite, "testcase", classname=name, name=test)
            if outcome != "passed":
                kind = "failure" if outcome == "failed" else "skipped"
                message = re.sub(r"[^\x20-\x7e\n\t]", "?", message)
                ET.SubElement(case, kind, message=message.split("\n")[0]).text = message
    os.makedirs(os.path.dirname(arguments.junit), exist_ok=True)
    ET.ElementTree(root).write(arguments.junit, encoding="utf-8", xml_declaration=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
