#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What every text file of the project keeps to: SPDX line, length, width, no trailing space."""
import pathlib
import subprocess
import sys

SOURCE_SUFFIXES = {".c", ".h", ".S", ".py", ".sh", ".mk", ".ts", ".mjs", ".css"}
SOURCE_NAMES = {"Makefile", "run"}
MAX_LINES = 600
MAX_COLUMNS = 100
# Inputs for fuzzers are bytes of any kind.
CORPUS = pathlib.Path("tests/fuzz/corpus")
# What a tab counts as: 8 where the code goes deep in few steps, 4 in nested expressions.
TABS = {".ts": 4, ".mjs": 4, ".css": 4}


def project_files():
    """Tracked files, and new ones that are not ignored."""
    out = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"], check=True, capture_output=True).stdout
    return sorted({pathlib.Path(name.decode()) for name in out.split(b"\0") if name})


def check(path):
    data = path.read_bytes()
    if b"\0" in data[:8192]:
        return
    text = data.decode("utf-8")
    lines = text.split("\n")
    if text and lines[-1]:
        yield f"{path}: no newline at the end"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield f"{path}:{number}: trailing whitespace"
    if path.suffix not in SOURCE_SUFFIXES and path.name not in SOURCE_NAMES:
        return
    if not any("SPDX-License-Identifier:" in line for line in lines[:3]):
        yield f"{path}: no SPDX-License-Identifier in its first lines"
    if len(lines) - 1 > MAX_LINES:
        yield f"{path}: {len(lines) - 1} lines, {MAX_LINES} at most: split it by concern"
    for number, line in enumerate(lines, 1):
        columns = len(line.expandtabs(TABS.get(path.suffix, 8)))
        if columns > MAX_COLUMNS:
            yield f"{path}:{number}: {columns} columns, {MAX_COLUMNS} at most"


def main():
    problems = []
    for path in project_files():
        if path.is_symlink() or not path.is_file() or path.parent.parent == CORPUS:
            continue
        try:
            problems += check(path)
        except UnicodeDecodeError as error:
            problems.append(f"{path}: not UTF-8: {error}")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
