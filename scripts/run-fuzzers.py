#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs fuzzers for some seconds each, after every input of their corpus, and writes JUnit results.

Each fuzzer has two tests: its corpus, and new inputs. What makes one fail is kept in
OUT/crashes/NAME/ and named in the failure; run the fuzzer with that file as its argument to see it
again. With --keep, inputs that reach new code are kept in OUT/corpus/NAME and are where the next
run begins.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

# What one input may take, and how long after its time a fuzzer is given up; both for busy machines.
INPUT_SECONDS = 25
GRACE_SECONDS = 120
MEMORY_MB = 2048
MAX_OUTPUT = 6000
# Objects of the server are larger than libFuzzer's own idea of an input.
MAX_LENGTH = 65536

ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def fuzzer_name(binary):
    return os.path.basename(binary).removeprefix("fuzz_")


def make_seeds(folders, target):
    """Object files with the name of their program in a line before, as fuzz_object.c reads them."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for folder in folders:
        for path in sorted(pathlib.Path(folder).glob("*.bpf.o")):
            name = path.name.removesuffix(".bpf.o")
            # What objects/*.bpf.c call their streams.
            program = {"schema": "demo", "metric": "tally"}.get(name.split("_")[0], name)
            if path.stat().st_size < MAX_LENGTH - 100:
                (target / name).write_bytes(program.encode() + b"\n" + path.read_bytes())


class Run:
    """One call of a fuzzer: its outcome, what it said, how fast it was."""

    def __init__(self, binary, crashes, arguments, seconds):
        before = set(crashes.iterdir())
        command = [os.path.abspath(binary), f"-timeout={INPUT_SECONDS}",
                   f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={crashes}/",
                   "-print_final_stats=1", "-verbosity=1", *arguments]
        self.problem = ""
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=seconds + GRACE_SECONDS, check=False,
                env={**ENVIRONMENT, **os.environ})
            out = done.stdout
            if done.returncode:
                self.problem = f"exit status {done.returncode}"
        except subprocess.TimeoutExpired as error:
            out = error.stdout or b""
            self.problem = f"did not end within {seconds + GRACE_SECONDS} s"
        self.output = out.decode("utf-8", "backslashreplace")
        found = sorted(set(crashes.iterdir()) - before)
        if found:
            self.problem = self.problem or "left an input that breaks it"
            self.problem += ": " + ", ".join(str(path) for path in found)
        if self.problem:
            self.problem += "\n" + self.report()

    def report(self):
        """From where the sanitiser, or the fuzzer's own check, begins to speak."""
        at = re.search(r"^.*(ERROR: |runtime error:|does not hold:)", self.output, re.MULTILINE)
        return self.output[at.start():][:MAX_OUTPUT] if at else self.output[-MAX_OUTPUT:]

    def statistic(self, name):
        found = re.search(rf"stat::{name}:\s+(\d+)", self.output)
        return int(found[1]) if found else 0

    def coverage(self):
        found = re.findall(r"\bcov: (\d+)", self.output)
        return int(found[-1]) if found else 0


def fuzz(binary, arguments, corpus):
    """Yields (test, problem, seconds, what it did)."""
    out = pathlib.Path(arguments.out).resolve()
    name = fuzzer_name(binary)
    crashes = out / "crashes" / name
    kept = out / ("corpus" if arguments.keep else "scratch") / name
    crashes.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    if not os.path.exists(binary):
        yield "corpus", "was not built", 0.0, ""
        return
    inputs = [str(path) for folder in corpus for path in sorted(folder.iterdir())]
    if not inputs:
        yield "corpus", "has no inputs", 0.0, ""
        return
    run = Run(binary, crashes, inputs, 60)
    yield "corpus", run.problem, time.monotonic() - begin, f"{len(inputs)} inputs"
    begin = time.monotonic()
    # The fuzzer writes into the first folder.
    if not arguments.keep:
        shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True, exist_ok=True)
    folders = [str(folder) for folder in [kept, *corpus]]
    words = arguments.dictionaries / f"{name}.dict"
    run = Run(binary, crashes,
              [f"-max_total_time={arguments.seconds}", f"-seed={arguments.seed}",
               f"-max_len={MAX_LENGTH if name in arguments.seed_names else 4096}",
               *([f"-dict={words}"] if words.exists() else []), *folders], arguments.seconds)
    yield ("new inputs", run.problem, time.monotonic() - begin,
           f"{run.statistic('number_of_executed_units')} inputs, "
           f"{run.statistic('average_exec_per_sec')}/s, coverage {run.coverage()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, help="folder for what is made and found")
    parser.add_argument("--corpus", required=True, type=pathlib.Path,
                        help="folder of corpora, one folder a fuzzer; NAME.dict are words for it")
    parser.add_argument("--seeds", action="append", default=[], metavar="NAME=FOLDER",
                        help="folder of object files that a fuzzer begins with")
    parser.add_argument("--seconds", type=int, default=60, help="of new inputs, each fuzzer")
    parser.add_argument("--seed", type=int, default=0,
                        help="of the mutations; 0: another each time")
    parser.add_argument("--keep", action="store_true", help="begin where the last run ended")
    parser.add_argument("--junit", help="file to write")
    parser.add_argument("binary", nargs="+")
    arguments = parser.parse_args()
    arguments.dictionaries = arguments.corpus
    seeds = {}
    for name, folder in (seed.split("=", 1) for seed in arguments.seeds):
        seeds.setdefault(name, []).append(folder)
    arguments.seed_names = set(seeds)

    failures = 0
    root = ET.Element("testsuites")
    for binary in arguments.binary:
        name = fuzzer_name(binary)
        corpus = [path for path in [arguments.corpus / name] if path.is_dir()]
        if name in seeds:
            corpus.append(pathlib.Path(arguments.out).resolve() / "seeds" / name)
            make_seeds(seeds[name], corpus[-1])
        suite = ET.SubElement(root, "testsuite", name=name)
        for test, problem, seconds, done in fuzz(binary, arguments, corpus):
            failures += bool(problem)
            print(f"{'FAIL' if problem else 'ok':4}  {name}: {test}: {done} ({seconds:.1f} s)"
                  + (f"\n{problem}" if problem else ""), flush=True)
            case = ET.SubElement(suite, "testcase", classname=name, name=test,
                                 time=f"{seconds:.3f}")
            if problem:
                problem = re.sub(r"[^\x20-\x7e\n\t]", "?", problem)
                ET.SubElement(case, "failure", message=problem.split("\n")[0]).text = problem
    if arguments.junit:
        os.makedirs(os.path.dirname(arguments.junit), exist_ok=True)
        ET.ElementTree(root).write(arguments.junit, encoding="utf-8", xml_declaration=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
