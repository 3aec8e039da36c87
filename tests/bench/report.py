#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""report.py RESULTS.json DOCS: writes DOCS/performance.md and its pictures from a full run."""
import json
import pathlib
import sys

import picture
import table
from figures import Result
from horizon import horizon

PICTURES = "pictures"
QUESTION_NAMES = {"query.newest": "newest 100", "query.absent_pid": "absent pid",
                  "query.absent_command": "absent command", "query.two_fields": "two fields",
                  "query.summary": "summary by command",
                  "query.summary_two": "summary by two fields",
                  "query.summary_numbers": "summary, percentiles"}

HEAD = """# Performance

Written by `make bench` from its last full run; `make bench-docs` writes it again from the same
results. What the figures are, and how they are made: [tests/bench](../tests/bench/README.md).
"""

READING = """\
`ours` is the median of the run's samples, `spread` their first and third quartile. A peer is a tool
that shows the same to a user, on the same load, in the same run; `ratio` is ours by the peer's.
Figures from one machine drift with what else it does; ratios taken in pairs hold. What could not
be measured says why, and does not count as reached.
"""


def _machine(document):
    machine = document["machine"]
    lines = [
        f"{document['date']}, {document['seconds']:.0f} s; {machine['system']}, Linux "
        f"{machine['kernel']}, {machine['architecture']}; {machine['cores']} cores"
        f"{' of a virtual machine' if machine['virtual'] else ''} ({machine['processor']}), "
        f"{machine['memory_gib']:g} GiB.", ""]
    packages = [f"{name} {version}" for name, version in document["packages"].items()
                if version != "not installed"]
    lines += [f"Peers, as the distribution packages them: {', '.join(packages) or 'none'}."]
    skipped = [f"- {name} was skipped: {reason}"
               for name, reason in document["skipped_peers"].items()]
    lines += ["", *skipped] if skipped else []
    for name, reason in document["failures"].items():
        lines += ["", f"The part `{name}` failed: {reason}"]
    return "\n".join(lines)


def _how(results):
    return "\n".join(f"- **{result.id}** {result.text}: {result.how}."
                     for result in results if result.how and result.value is not None)


def _pictures(curves):
    """{file name: (alternative text, SVG)}"""
    found = {}
    if curves.get("queries"):
        lines = {QUESTION_NAMES.get(name, name): points
                 for name, points in curves["queries"].items()}
        found["queries.svg"] = (
            "Time to the answer against events in memory",
            picture.draw("Time to the answer", "events in memory", "ms, median", lines))
    if curves.get("memory"):
        points = [point for point in curves["memory"] if point[1] > 0]
        found["memory.svg"] = (
            "Resident memory against events stored",
            picture.draw("Memory of the server, above that of an empty one", "events in memory",
                         "MiB resident", {"connection": points}))
    if curves.get("drain"):
        found["drain.svg"] = (
            "Processor time an event against the rate",
            picture.draw("Processor time in user space", "events a second", "ns an event",
                         {"loader and server": curves["drain"]}))
    return found


def write(document, docs):
    results = [Result(**item) for item in document["results"]]
    parts = [HEAD, _machine(document), "## Goals", table.markdown(results),
             table.summary(results).capitalize() + ".", READING]
    pictures = _pictures(document["curves"])
    if pictures:
        parts.append("## How it grows")
        (docs / PICTURES).mkdir(parents=True, exist_ok=True)
        for name, (text, svg) in pictures.items():
            (docs / PICTURES / f"performance-{name}").write_text(svg)
            parts.append(f"![{text}]({PICTURES}/performance-{name})")
    parts += ["## Past this machine", horizon(document), "## How it was measured", _how(results)]
    (docs / "performance.md").write_text("\n\n".join(part.strip() for part in parts) + "\n")


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        document = json.loads(pathlib.Path(sys.argv[1]).read_text())
    except (OSError, ValueError) as error:
        print(f"report: {sys.argv[1]}: {error}; `make bench` makes it", file=sys.stderr)
        return 1
    write(document, pathlib.Path(sys.argv[2]))
    print(f"written: {sys.argv[2]}/performance.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
