# SPDX-License-Identifier: MIT
"""The stand that everything is measured on: namespaces of our own, children that end with us."""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import machine

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
PR_SET_PDEATHSIG = 1
LOAD_TIMEOUT = 150
SCRATCH = "/dev/shm"
_libc = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """One line for whoever started the run."""


def enter_namespaces():
    """Own mounts (tracefs, debugfs for peers that look there, scratch) and own network (loopback
    alone). Both are gone with the last process in them, however that ends."""
    if os.geteuid() != 0:
        raise BenchError("eBPF programs are loaded here: run as root (make bench does)")
    if _libc.unshare(CLONE_NEWNS | CLONE_NEWNET):
        raise BenchError(f"no namespaces of our own: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for kind, path, probe in (("tracefs", "/sys/kernel/tracing", "events"),
                              ("debugfs", "/sys/kernel/debug", "tracing")):
        if os.path.isdir(path) and not os.path.exists(f"{path}/{probe}"):
            subprocess.run(["mount", "-t", kind, kind, path], check=False, capture_output=True)
    # What is written meanwhile is gone with the namespace, even if we are killed.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", SCRATCH], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _end_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def cpu_ns(pids, threads=lambda name: True):
    """Processor time so far, user and system, of all threads (or those whose name fits)."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            path = f"/proc/{pid}/task/{task}"
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if threads(pathlib.Path(path, "comm").read_text().strip()):
                    total += int(pathlib.Path(path, "schedstat").read_text().split()[0])
    return total


def user_ns(pids, threads=lambda name: True):
    """The same, user time alone; in steps of a clock tick."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            path = f"/proc/{pid}/task/{task}"
            if threads(pathlib.Path(path, "comm").read_text().strip()):
                fields = pathlib.Path(path, "stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return total


def resident(pid):
    """Bytes of a process that are resident now."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def children(pid):
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def wait_for(condition, what, deadline=20.0, pause=0.002):
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise BenchError(f"{what}: not within {deadline:g} s")
        time.sleep(pause)


class Stand:
    """Where things are, how long they may take, and what was measured so far."""

    def __init__(self, server, tools, objects, quick):
        self.server, self.quick = os.path.abspath(server), quick
        self.tools, self.objects = pathlib.Path(tools).resolve(), pathlib.Path(objects)
        self.figures, self.absent, self.curves = {}, {}, {}
        self.skipped_peers, self.failures = {}, {}
        self.others = set()  # programs of others that were seen since an experiment began
        self._stack = contextlib.ExitStack()
        self.folder = pathlib.Path(self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix="ebpf-server-bench-", dir=SCRATCH)))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def data_folder(self):
        """A fresh folder on a real disk, where a scratch in memory would flatter."""
        return self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix="data-", dir=self.tools))

    def pick(self, full, quick):
        """Whatever differs between a full and a quick run."""
        return quick if self.quick else full

    @contextlib.contextmanager
    def child(self, command, name, output=None, stop=signal.SIGTERM):
        """A process of ours: its Popen; `output` (a path) takes its standard output, a file beside
        its standard error. Ended on the way out."""
        errors = self.folder / f"{name}.stderr"
        with open(output or os.devnull, "ab", buffering=0) as out, open(errors, "wb") as err:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                       stdout=out, stderr=err, start_new_session=True,
                                       preexec_fn=_end_with_parent)
        process.errors = errors
        try:
            yield process
        finally:
            end(process, stop)

    def look_around(self):
        """Notes eBPF programs of others. Called when none of ours is loaded; ours from before may
        take a moment to go."""
        found = machine.other_programs()
        if found:
            time.sleep(0.3)
            self.others.update(machine.other_programs() or ())

    def load_command(self, kind, **options):
        arguments = [part for key, value in options.items() if value is not None
                     for part in ("--" + key, str(value))]
        return [str(self.tools / "load"), kind, *arguments]

    def load(self, kind, **options):
        """Runs a load to its end; what it says (loads/main.c)."""
        done = subprocess.run(self.load_command(kind, **options), stdout=subprocess.PIPE,
                              check=False, timeout=LOAD_TIMEOUT, preexec_fn=_end_with_parent)
        if done.returncode:
            raise BenchError(f"load {kind}: exit status {done.returncode}")
        made = json.loads(done.stdout)
        if kind in ("http", "connect-close") and made["failed"]:
            raise BenchError(f"load {kind}: {made['failed']} of {made['made']} calls failed")
        return made

    def background(self, kind, **options):
        """A load that runs beside something; a context."""
        return self.child(self.load_command(kind, **options), f"load-{kind}")


def end(process, number=signal.SIGTERM, patience=10):
    """Ends a process of ours, by a signal it understands, else for good."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
