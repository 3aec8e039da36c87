#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sums JUnit files up: what failed, what was skipped and why, and one last line.

Each part named must have left its file; a part that left none counts as one failure, since it
crashed or could not be built. Exit status 1 when anything failed or nothing passed.
"""
import argparse
import os
import sys
import xml.etree.ElementTree as ET


def read(path):
    """Yields (name, outcome, message) of each test case."""
    for case in ET.parse(path).getroot().iter("testcase"):
        name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
        failure = case.find("failure")
        if failure is None:
            failure = case.find("error")
        skipped = case.find("skipped")
        if failure is not None:
            yield name, "failed", failure.get("message") or ""
        elif skipped is not None:
            yield name, "skipped", skipped.get("message") or "no reason given"
        else:
            yield name, "passed", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--failed", action="append", default=[], metavar="CHECK",
                        help="a check besides the tests that failed")
    parser.add_argument("results", help="folder of the JUnit files")
    parser.add_argument("part", nargs="+", help="expected: PART.xml")
    arguments = parser.parse_args()

    cases = [(check, "failed", "") for check in arguments.failed]
    for part in arguments.part:
        path = os.path.join(arguments.results, part + ".xml")
        try:
            cases += [(f"{part}: {name}", *result) for name, *result in read(path)]
        except (OSError, ET.ParseError):
            cases.append((part, "failed", "left no results: not built, or crashed"))

    count = {"passed": 0, "failed": 0, "skipped": 0}
    for name, outcome, message in cases:
        count[outcome] += 1
        if outcome != "passed":
            print(f"{outcome}: {name}" + (f": {message.splitlines()[0]}" if message else ""))
    print(", ".join(f"{number} {outcome}" for outcome, number in count.items()), flush=True)
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
