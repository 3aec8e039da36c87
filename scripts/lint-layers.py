#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A layer of src/ may include only itself and layers before it; nothing includes programs/."""
import pathlib
import re
import sys

LAYERS = ("base", "config", "access", "schema", "loader", "store", "history", "pipeline", "lists",
          "metrics", "live", "api", "export")
# What stands in src/ itself (main.c, server.c) wires everything and comes last.
TOP = len(LAYERS)
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def check(path, source):
    """Yields what is wrong with the includes of one file."""
    folder = path.relative_to(source).parts[0] if path.parent != source else None
    if folder is not None and folder not in LAYERS:
        yield f"{path}: src/{folder} is no layer known to scripts/lint-layers.py"
        return
    rank = TOP if folder is None else LAYERS.index(folder)
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        where = f"{path}:{text.count(chr(10), 0, match.start(1)) + 1}"
        target = match[1]
        if not (source / target).is_file():
            yield f'{where}: "{target}" is no file under src/ (includes name the path from there)'
            continue
        layer = target.split("/")[0] if "/" in target else None
        if layer not in (None, *LAYERS):
            continue  # reported with the files of that folder
        if (TOP if layer is None else LAYERS.index(layer)) > rank:
            yield f'{where}: {folder} may not include "{target}": {layer or "src/"} comes later'


def main():
    source = pathlib.Path("src")
    files = sorted(path for path in source.rglob("*") if path.suffix in (".c", ".h"))
    problems = [problem for path in files for problem in check(path, source)]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
