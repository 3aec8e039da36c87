# SPDX-License-Identifier: MIT
"""syscalls, printed: what it says, that it never sees itself, and that what is printed is not fed
back by those who read it."""
import collections
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

import pytest

from harness import exposition, processes
from harness.wait import wait_for

NAME = "watched"
STREAM = ("--programs", "syscalls", "--set", "syscalls.stream=1", "--max-series", 10000)
ONLY = ("--set", f"syscalls.only_command={NAME}")
FAMILY = "ebpf_server_syscalls_process_calls_total"


def opening(pid, port):
    return [b"Loading eBPF program", b"Monitoring sys_read and sys_write calls...",
            b"Host PID: %d" % pid, b"Skipping self PID: %d" % pid,
            b"API Server starting on localhost:%d" % port]


def set_parameter(server, **values):
    answer = server.api.request("PATCH", "/api/programs/syscalls",
                                body=json.dumps({"parameters": values}).encode(),
                                headers={"Content-Type": "application/json"})
    assert answer.status == 200, answer.text


# ---- what is printed ----

def test_the_lines_that_people_know(start_server, calls):
    server = start_server(*STREAM, "--print", *ONLY)
    # The opening comes without an event.
    wait_for(lambda: len(server.output) == 5, "the opening")
    made = calls("read=3", "write=2", "read-ebadf=1", command=NAME)
    made.make()
    wait_for(lambda: len(server.output) == 11, "six lines of events")
    assert server.output == opening(server.pid, server.api.port) + \
        [b"%d - hello sys_read was called" % made.pid] * 3 + \
        [b"%d - hello sys_write was called" % made.pid] * 2 + \
        [b"%d - hello sys_read was called" % made.pid]


def test_nothing_is_printed_while_it_only_counts(start_server, calls):
    server = start_server("--programs", "syscalls", "--print", *ONLY)
    made = calls("read=3", "write=2", command=NAME)
    made.make()
    assert str(made.pid) in traced_pids(server)
    assert server.output == []
    set_parameter(server, stream=True)
    wait_for(lambda: len(server.output) == 5, "the opening")
    made = calls("read=1", command=NAME)
    made.make()
    wait_for(lambda: len(server.output) == 6, "one line")
    assert server.output == opening(server.pid, server.api.port) + \
        [b"%d - hello sys_read was called" % made.pid]


def test_json_has_no_opening(start_server, calls):
    server = start_server(*STREAM, "--print=json", *ONLY)
    made = calls("read=3", command=NAME)
    made.make()
    lines = wait_for(lambda: len(server.output) == 3 and server.output, "three events")
    assert [(event["type"], event["pid"], event["syscall"]) for event in map(json.loads, lines)] \
        == [("syscalls", made.pid, "read")] * 3


# ---- itself ----

def own_io(pids):
    """Reads and writes that the kernel counted of these processes."""
    total = 0
    for pid in pids:
        fields = dict(line.split(": ") for line in
                      pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())
        total += int(fields["syscr"]) + int(fields["syscw"])
    return total


def be_busy(server):
    """Makes both processes read and write: requests, programs on and off, log lines."""
    for _ in range(5):
        server.api("/api/events", limit=10)
        set_parameter(server, latency=True)
        set_parameter(server, latency=False)


def traced_pids(server):
    """Process ids that have a series."""
    response = server.api.request("GET", "/metrics")
    families = exposition.parse(response.body)
    return {dict(labels)["pid"] for labels in families[FAMILY].samples.get(FAMILY, {})}


def assert_unseen(server, pids, calls):
    made = calls("read=3")
    before = own_io(pids)
    be_busy(server)
    made.make()
    assert own_io(pids) > before + 10
    assert server.events("syscalls", 3, pid=made.pid)
    for pid in pids:
        assert server.api("/api/events", type="syscalls", pid=pid)["total_count"] == 0
    traced = traced_pids(server)
    assert str(made.pid) in traced
    assert not traced & set(map(str, pids))


def test_it_never_sees_itself(start_server, calls):
    server = start_server(*STREAM, "--set", "syscalls.variants=1", "--print")
    child = processes.child_of(server)
    assert_unseen(server, [server.pid, child], calls)
    # Another server has another number.
    os.kill(child, 9)
    processes.wait_for_restart(server, child)
    assert_unseen(server, [server.pid, processes.child_of(server)], calls)


@contextlib.contextmanager
def in_pid_namespace(start_server, *arguments):
    """(server, pids of loader and server as the rest of the machine sees them)"""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no PID namespaces here")
    server = start_server(*arguments, command_prefix=unshare)
    [loader] = processes.children(server.pid)
    try:
        yield server, [loader, *processes.children(loader)]
    finally:
        os.kill(loader, 15)
        assert server.wait_for_exit() == 0


def test_it_never_sees_itself_from_a_pid_namespace(start_server, calls):
    with in_pid_namespace(start_server, *STREAM, "--print") as (server, pids):
        namespaced = processes.status(pids[0])["NSpid"].split()
        assert len(namespaced) == 2 and namespaced[1] == "1"
        assert_unseen(server, pids, calls)
        port = server.api.port
        assert server.output[:5] == opening(pids[0], port)


# ---- those who read what it prints ----

@pytest.fixture
def watched(tmp_path):
    """Starts cat, grep or tail under the name that is watched; ended at the end."""
    started = []

    def start(program, *arguments, **streams):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        shutil.copy(shutil.which(program), folder / NAME)
        started.append(subprocess.Popen([folder / NAME, *arguments], **streams))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def assert_no_feedback(server, calls, output, stray=0):
    """Only the calls that were made for this are events, however often: those who pass the lines on
    have the name that is watched, too. `output()` is what came out at the far end; of those who
    pass on, at most so many `stray` calls are events."""
    total = 0
    for count in (101, 211, 307):
        made = calls(f"read={count}", command=NAME)
        made.make()
        total += count
        line = b"%d - hello sys_read was called\n" % made.pid
        wait_for(lambda: output().count(line) == count, f"{count} lines at the far end")
        made.end()
    # They went through; what that took was seen, and is no event.
    ledger = processes.settled_ledger(server, "syscalls",
                                      lambda counts: counts["stored"] <= total + stray)
    assert ledger["lost"] == 0 and ledger["stored"] >= total
    assert output().count(b"hello") == ledger["stored"]


def test_a_pipeline_does_not_feed_back(start_server, watched, calls, tmp_path):
    far = tmp_path / "far"
    with open(far, "wb") as file:
        grep = watched("grep", "--line-buffered", "hello", stdin=subprocess.PIPE, stdout=file)
    cat = watched("cat", stdin=subprocess.PIPE, stdout=grep.stdin)
    server = start_server(*STREAM, "--print", *ONLY, output=cat.stdin)
    cat.stdin.close()
    grep.stdin.close()
    assert_no_feedback(server, calls, far.read_bytes)
    assert processes.ledger(server, "syscalls")["filtered"] > 0


def test_a_terminal_does_not_feed_back(start_server, watched, calls, tmp_path):
    """Two of them, one in the other, as with a multiplexer."""
    far = tmp_path / "far"
    outer_master, outer = os.openpty()
    inner_master, inner = os.openpty()
    with open(far, "wb") as file:
        watched("cat", stdin=outer_master, stdout=file)
    watched("cat", stdin=inner_master, stdout=outer)
    server = start_server(*STREAM, "--print", *ONLY, output=inner)
    for descriptor in (outer_master, outer, inner_master, inner):
        os.close(descriptor)
    assert_no_feedback(server, calls, lambda: far.read_bytes().replace(b"\r", b""))


def test_connections_do_not_feed_back(start_server, watched, calls, tmp_path):
    """A Unix one, then TCP over IPv4 and over IPv6."""
    far = tmp_path / "far"
    near, unix = socket.socketpair()
    ends = [(near, unix)]
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.create_server((address, 0), family=family) as listener:
            client = socket.create_connection(listener.getsockname()[:2])
            ends.append((client, listener.accept()[0]))
    with open(far, "wb") as file:
        targets = [ends[1][0], ends[2][0], file]
        for (_, readable), target in zip(ends, targets):
            watched("cat", stdin=readable, stdout=target)
    server = start_server(*STREAM, "--print", *ONLY, output=near)
    for pair in ends:
        for end in pair:
            end.close()
    assert_no_feedback(server, calls, far.read_bytes)


def test_a_file_that_is_followed_does_not_feed_back(start_server, watched, calls, tmp_path):
    near, far = tmp_path / "near", tmp_path / "far"
    near.write_bytes(b"begun\n")
    with open(near, "ab") as output, open(far, "wb") as file:
        watched("tail", "-n", "+1", "-f", near, stdout=file)
        wait_for(far.read_bytes, "tail")
        server = start_server(*STREAM, "--print", *ONLY, output=output)
    # It is woken by inotify, and reads that before it first reads from the output.
    assert_no_feedback(server, calls, far.read_bytes, stray=1)


def test_what_is_typed_into_a_terminal_is_seen(start_server, watched, calls):
    """Output is followed from a terminal's slave to its master, and not back: a shell in the same
    terminal is still seen."""
    master, slave = os.openpty()
    shell = watched("cat", stdin=slave, stdout=subprocess.DEVNULL)
    server = start_server(*STREAM, "--print", *ONLY, output=slave)
    os.close(slave)
    calls("read=3", command=NAME).make()
    written = b""
    while written.count(b"hello") < 3:
        written += os.read(master, 4096)

    def seen(size, count):
        return server.api("/api/events", type="syscalls", pid=shell.pid,
                          bytes=size)["total_count"] == count
    # Its first read began before the program was there.
    os.write(master, b"first\n")
    wait_for(lambda: seen(6, 1), "the shell's write")
    os.write(master, b"second\n")
    wait_for(lambda: seen(7, 2), "the shell's read and write")
    os.close(master)


def test_an_audience_that_left_is_seen_again(start_server, watched, calls):
    """The mark fades ten seconds after a process read output for the last time, though others still
    read and the server prints on."""
    near, output = os.pipe()
    other, commands = os.pipe()
    # Nothing ever comes through the other pipe: that paces it.
    script = (f"read -r line; while :; do read -r -N 1 x < /dev/zero; "
              f"read -t 0.05 x <&{other}; done")
    shell = watched("bash", "-c", script, stdin=near, pass_fds=(other,))
    server = start_server(*STREAM, "--print", *ONLY, output=output)
    os.close(output)
    calls("read=1", command=NAME).make()
    begin = time.monotonic()

    reader = threading.Thread(target=lambda: collections.deque(iter(lambda: os.read(near, 4096),
                                                                    b""), 0), daemon=True)
    reader.start()
    wait_for(lambda: server.api("/api/events", type="syscalls", pid=shell.pid)["total_count"],
             "the shell to be seen again", 30)
    assert time.monotonic() - begin > 5
    server.stop()
    reader.join(10)
    for descriptor in (near, other, commands):
        os.close(descriptor)
