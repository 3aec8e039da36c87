# SPDX-License-Identifier: MIT
"""What /proc says of the server's two processes, and what the kernel counts for it."""
import os
import signal

from .wait import wait_for

# What each of these kinds of descriptor says in its fdinfo (kernel/bpf/syscall.c).
PROGRAM, LINK, MAP = "prog_id", "link_id", "map_id"


def status(pid):
    """/proc/PID/status as {"Uid": "65534\\t65534…", …}."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return {name: value.strip() for name, _, value in
                (line.partition(":") for line in file)}


def children(pid):
    """Process ids of the living children; zombies do not count."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state not in "ZX":
            found.append(int(name))
    return found


def is_alive(pid):
    try:
        return status(pid)["State"][0] not in "ZX"
    except OSError:
        return False


def child_of(server):
    """Process id of the unprivileged half."""
    pids = children(server.pid)
    assert len(pids) == 1, f"children of the loader: {pids}"
    return pids[0]


def wait_for_restart(server, dead, deadline=10.0):
    """Returns when another child than `dead` answers that it is ready."""
    wait_for(lambda: set(children(server.pid)) - {dead}, "another server", deadline)
    wait_for(server.answers_ready, "/readiness", deadline)


def descriptors(pid, kind):
    """The numbers, sorted, of the eBPF objects of one kind that a process holds open."""
    numbers = set()
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{name}", encoding="utf-8") as file:
                fields = dict(line.split(":", 1) for line in file if ":" in line)
        except OSError:
            continue
        # A link's fdinfo names the program that it holds, too.
        if kind in fields and (kind == LINK or LINK not in fields):
            numbers.add(int(fields[kind]))
    return sorted(numbers)


def peak_rss(pid):
    """Bytes that were resident at most so far."""
    return int(status(pid)["VmHWM"].split()[0]) * 1024


def freeze(pid):
    """SIGSTOP; returns when every thread of the process has stopped."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(status(task)["State"][0] == "T" for task in
                         os.listdir(f"/proc/{pid}/task")), f"process {pid} to stop")


def thaw(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


def ledger(server, program="connection"):
    """The counts of a program's streams, added up."""
    total = {}
    for stream in server.api(f"/api/programs/{program}")["streams"]:
        for name, count in stream["ledger"].items():
            total[name] = total.get(name, 0) + count
    return total


def settled_ledger(server, program="connection", expected=lambda counts: True, deadline=20.0):
    """The ledger once nothing waits in the ring, the sum is right and so is `expected`. Asked again
    and again: the kernel goes on counting other processes between two of its numbers."""
    def settled():
        counts = ledger(server, program)
        assert counts["bytes_waiting"] == 0, counts
        assert counts["produced"] == (counts["stored"] + counts["filtered"] +
                                      counts["sampled_out"] + counts["lost"]), counts
        assert counts["stored"] == counts["held"] + counts["expired"], counts
        assert expected(counts), counts
        return counts
    return wait_for(settled, "the ledger to add up", deadline)
