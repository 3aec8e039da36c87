# SPDX-License-Identifier: MIT
"""tcp_connects_by_pid: every TCP connect of every process, counted once, whatever becomes of it."""
import json
import os
import re
import subprocess
import sys
import threading

import pytest

from harness import exposition, tools
from harness.wait import wait_for

FAMILY = "tcp_connects_by_pid"
PROCESSES = 20003
MAX_SERIES = 1000
# A user of its own keeps what others on the machine do out of the counts.
UID = 64997


@pytest.fixture
def only(start_server):
    """A server that counts the connects of UID alone."""
    return start_server("--programs", "tcp_connect", "--set", f"tcp_connect.only_uid={UID}")


def scrape(server):
    response = server.metrics.request("GET", "/metrics")
    assert response.status == 200
    return exposition.parse(response.body)[FAMILY]


def series(server):
    """{(comm, pid): count} of a scrape."""
    return {(dict(labels)["comm"], dict(labels)["pid"]): count
            for labels, count in scrape(server).samples.get(FAMILY, {}).items()}


def of_pid(server, pid):
    """(comm, count) of a process; it has one series at most."""
    found = [(comm, count) for (comm, of), count in series(server).items() if of == str(pid)]
    assert len(found) <= 1, found
    return found[0] if found else None


def test_the_family_is_exact(server, trigger):
    made = trigger("tcp4", "127.0.0.1:1")
    lines = server.metrics.request("GET", "/metrics").text.split("\n")
    start = lines.index(f"# HELP {FAMILY} Number of tcp_connect() calls observed per PID")
    assert lines[start + 1] == f"# TYPE {FAMILY} gauge"
    assert f'{FAMILY}{{comm="trigger",pid="{made.pid}"}} 1' in lines[start + 2:]


def test_the_api_says_which_hook_and_why(server):
    program = server.api("/api/programs/tcp_connect")
    assert program["status"] == "running"
    assert program["streams"] == []
    [metric] = program["metrics"]
    assert (metric["name"], metric["type"], metric["help"]) == \
        (FAMILY, "gauge", "Number of tcp_connect() calls observed per PID")
    connect, end = program["hook"].split(", ")
    assert end in ("tp_btf/sched_process_exit", "tracepoint/sched/sched_process_exit")
    better = ["fentry/tcp_connect", "kprobe/tcp_connect", "tp_btf/inet_sock_set_state"]
    refused = better[:better.index(connect)]
    if not refused:
        assert program["fallback_reason"] is None
        return
    reasons = program["fallback_reason"].split("; ")
    assert [reason.split(": ")[0] for reason in reasons] == refused
    assert all(reason.split(": ", 1)[1] for reason in reasons)


def test_both_families_and_nothing_else(only, start_trigger):
    counts = {"tcp4": 3, "tcp6": 5, "udp4": 7, "udp6": 11, "unix": 13}
    addresses = {"tcp4": "127.0.0.1:1", "tcp6": "[::1]:1", "udp4": "127.0.0.1:1",
                 "udp6": "[::1]:1", "unix": "@nobody"}
    made = {kind: start_trigger(kind, addresses[kind], count=count, uid=UID, stay=True)
            for kind, count in counts.items()}
    pids = {kind: started.made().pid for kind, started in made.items()}
    assert of_pid(only, pids["tcp4"]) == ("trigger", 3)
    assert of_pid(only, pids["tcp6"]) == ("trigger", 5)
    for kind in ("udp4", "udp6", "unix"):
        assert of_pid(only, pids[kind]) is None, kind


def test_threads_count_for_their_process(only, start_trigger):
    started = start_trigger("tcp4", "127.0.0.1:1", count=7, threads=5, uid=UID, stay=True,
                            command="many")
    made = started.made()
    assert len(made.calls) == 35
    assert of_pid(only, made.pid) == ("many", 35)
    assert len(series(only)) == 1


def test_a_series_ends_with_its_process(only, start_trigger):
    started = start_trigger("tcp4", "127.0.0.1:1", count=3, uid=UID, stay=True)
    pid = started.made().pid
    for _ in range(3):
        assert series(only) == {("trigger", str(pid)): 3}
    started.finish()
    # Looking without a scrape ends nothing.
    assert only.metrics.request("HEAD", "/metrics").status == 200
    assert only.api("/api/programs/tcp_connect")["metrics"][0]["series"] == 1
    assert series(only) == {("trigger", str(pid)): 3}
    for _ in range(2):
        assert series(only) == {("other", "other"): 3}


# The first thread goes, the process lives on; the second one connects after that.
LEADER_GOES = f"""
import ctypes, os, socket, sys, threading
os.setuid({UID})
def connect():
    try:
        socket.create_connection(("127.0.0.1", 1))
    except OSError:
        pass
connect()
leader = os.getpid()
def rest():
    while open(f"/proc/{{leader}}/task/{{leader}}/stat").read().split()[2] != "Z":
        pass
    connect()
    print(leader, flush=True)
    sys.stdin.readline()
    os._exit(0)
threading.Thread(target=rest).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_ends_with_its_last_thread(only):
    child = subprocess.Popen([sys.executable, "-c", LEADER_GOES], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    pid = int(child.stdout.readline())
    for _ in range(2):
        assert [count for (_, of), count in series(only).items() if of == str(pid)] == [2]
    child.communicate(b"\n")
    assert [count for (_, of), count in series(only).items() if of == str(pid)] == [2]
    assert series(only) == {("other", "other"): 2}


EXEC = f"""
import os, socket, sys
os.setgid({UID})
os.setuid({UID})
for _ in range(2):
    try:
        socket.create_connection(("127.0.0.1", 1))
    except OSError:
        pass
print(os.getpid(), flush=True)
sys.stdin.readline()
os.execv("/bin/bash", ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/1; echo; read"])
"""


def test_an_exec_is_the_same_process(only):
    child = subprocess.Popen([sys.executable, "-c", EXEC], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    pid = int(child.stdout.readline())
    comm, count = of_pid(only, pid)
    assert comm.startswith("python") and count == 2
    child.stdin.write(b"\n")
    child.stdout.readline()
    assert series(only) == {("bash", str(pid)): 3}
    child.communicate(b"\n")


def test_a_process_id_that_comes_again(only, start_trigger):
    """A new process of the same number begins at 0; the old one's count is not lost."""
    last_pid = "/proc/sys/kernel/ns_last_pid"
    if not os.path.exists(last_pid):
        pytest.skip("this kernel cannot choose process ids (CONFIG_CHECKPOINT_RESTORE)")
    first = start_trigger("tcp4", "127.0.0.1:1", count=3, uid=UID)
    pid = first.finish().pid

    def again():
        with open(last_pid, "w", encoding="ascii") as file:
            file.write(str(pid - 1))
        second = start_trigger("tcp4", "127.0.0.1:1", count=5, uid=UID, wait=True, stay=True)
        return second.pid == pid and second
    second = wait_for(again, f"another process {pid}")
    second.go()
    second.made()
    assert series(only) == {("trigger", str(pid)): 5, ("other", "other"): 3}


@pytest.mark.parametrize("name", [b'a"b', b"line\nbreak", b"</script>", b"back\\slash",
                                  b"\xff\xfe bad", b"\xe2\x82", b"caf\xc3\xa9", b"{x=\"y\"} 5",
                                  b"\r\x1b[31m", b" "])
def test_any_name_can_be_scraped(only, start_trigger, name):
    started = start_trigger("tcp4", "127.0.0.1:1", uid=UID, stay=True, command=name)
    pid = started.made().pid
    # One U+FFFD for each byte that is no UTF-8.
    shown = re.sub("[\udc80-\udcff]", "\ufffd", name.decode(errors="surrogateescape"))
    assert of_pid(only, pid) == (shown, 1)


def test_counts_outlive_a_server(only, start_trigger):
    """The server process dies; the kernel counts on, and the next one shows it."""
    started = start_trigger("tcp4", "127.0.0.1:1", count=3, uid=UID, stay=True)
    pid = started.made().pid
    assert of_pid(only, pid) == ("trigger", 3)
    children = f"/proc/{only.pid}/task/{only.pid}/children"
    with open(children, encoding="ascii") as file:
        [child] = file.read().split()
    os.kill(int(child), 9)
    wait_for(lambda: child not in open(children, encoding="ascii").read().split(), "its end")
    wait_for(only.answers_ready, "another server")
    assert of_pid(only, pid) == ("trigger", 3)


def test_20003_processes_that_connect_once(start_server):
    """More than the map holds, and far more than are shown: nothing of them is lost."""
    name = "brood"
    server = start_server("--programs", "tcp_connect", "--set", f"tcp_connect.only_command={name}",
                          "--max-series", MAX_SERIES)
    sums, done = [], threading.Event()

    def watch():
        while not done.is_set():
            shown = series(server)
            assert len(shown) <= MAX_SERIES + 1
            sums.append(sum(shown.values()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        out = subprocess.run([tools.tool("brood"), str(PROCESSES), "32", name], check=True,
                             capture_output=True, timeout=tools.TIMEOUT).stdout
    finally:
        done.set()
        watcher.join()
    assert json.loads(out)["made"] == PROCESSES
    # It only grows, and never past what was made.
    assert sums and sums == sorted(sums) and sums[-1] <= PROCESSES
    shown = series(server)
    assert sum(shown.values()) == PROCESSES
    assert len(shown) <= MAX_SERIES + 1
    # All have ended, and were shown.
    wait_for(lambda: series(server) == {("other", "other"): PROCESSES}, "all of it in other")
    families = exposition.parse(server.metrics.request("GET", "/metrics").body)
    labels = {"map": "tcp_connect_processes", "program": "tcp_connect"}
    entries = families["ebpf_server_metric_entries"].of("ebpf_server_metric_entries", **labels)
    evicted = families["ebpf_server_metric_evicted_entries_total"].of(
        "ebpf_server_metric_evicted_entries_total", **labels)
    assert entries <= 8192
    assert evicted >= PROCESSES - 8192


def test_threads_at_once_lose_nothing(only, start_trigger):
    """Connects of many threads and processes at the same time, on every CPU."""
    started = [start_trigger("tcp4", "127.0.0.1:1", count=101, threads=8, uid=UID, wait=True,
                             stay=True) for _ in range(3)]
    for one in started:
        one.go()
    pids = [one.made().pid for one in started]
    assert {of: count for (_, of), count in series(only).items()} == \
        {str(pid): 808 for pid in pids}
