# SPDX-License-Identifier: MIT
"""Two processes: what the unprivileged one may do, and what becomes of each when the other dies."""
import json
import os
import signal
import socket
import time

import pytest

from harness.kernel import bpf_leftovers, bpf_objects
from harness.processes import (LINK, MAP, PROGRAM, child_of, descriptors, freeze, is_alive, status,
                               thaw, wait_for_restart)
from harness.wait import wait_for

RESTART_LIMIT = 2.0
STOP_LIMIT = 5.0
BPF_FILES = "/sys/fs/bpf"


def pinned():
    return {os.path.join(folder, name) for folder, folders, files in os.walk(BPF_FILES)
            for name in folders + files}


def mounts():
    """What the server might have mounted, as this process sees it: (where, kind, source)."""
    found = set()
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            kind, source = line.partition(" - ")[2].split()[:2]
            if kind in ("tracefs", "debugfs", "bpf") or source == "ebpf-server":
                found.add((line.split()[4], kind, source))
    return found


@pytest.fixture
def traces():
    """Fails when programs, links, pins or mounts are left that were not there before."""
    objects, pins, places = bpf_objects(), pinned(), mounts()
    yield

    def gone():
        left = bpf_leftovers(objects)
        assert not left, f"left in the kernel: {left}"
        return True

    wait_for(gone)
    assert pinned() <= pins
    assert mounts() == places


def parameter(server, program, name):
    values = {item["name"]: item["value"]
              for item in server.api(f"/api/programs/{program}")["parameters"]}
    return values[name]


# ---- what each may do ----

def test_the_server_holds_no_privilege(server):
    child = child_of(server)
    assert int(status(server.pid)["CapEff"], 16) != 0, "the loader is the one with privileges"
    for task in os.listdir(f"/proc/{child}/task"):
        facts = status(task)
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(facts[capabilities], 16) == 0, f"thread {task}: {capabilities}"
        assert facts["NoNewPrivs"] == "1"
        assert "0" not in facts["Uid"].split()
        assert "0" not in facts["Gid"].split()
        assert facts.get("Groups", "") == ""


def test_the_server_sees_no_file(server):
    """Its root is a read-only file system with its data directory: there is no /sys/fs/bpf, nor
    anything else."""
    child = child_of(server)
    assert os.listdir(f"/proc/{child}/root/") == ["data"]
    assert not os.path.exists(f"/proc/{child}/root{BPF_FILES}")
    assert os.readlink(f"/proc/{child}/cwd") == "/"
    assert os.stat(f"/proc/{child}/ns/mnt").st_ino != os.stat(f"/proc/{server.pid}/ns/mnt").st_ino
    with open(f"/proc/{child}/mountinfo", encoding="utf-8") as file:
        for line in file:
            point, options = line.split()[4:6]
            expected = "rw" if point == "/data" else "ro"
            assert {expected, "nosuid", "nodev", "noexec"} <= set(options.split(",")), line
    open_files = {os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")}
    assert not [path for path in open_files if path.startswith(BPF_FILES)]


def test_only_the_loader_holds_programs_and_links(server):
    child = child_of(server)
    assert descriptors(server.pid, PROGRAM)
    assert descriptors(server.pid, LINK)
    assert descriptors(child, PROGRAM) == []
    assert descriptors(child, LINK) == []
    # The rings and the ledgers are what it reads.
    assert set(descriptors(child, MAP)) < set(descriptors(server.pid, MAP))
    assert len(descriptors(child, MAP)) >= 4


# ---- the server dies ----

def test_a_killed_server_is_back_within_two_seconds(server, trigger, traces):
    child = child_of(server)
    held = descriptors(server.pid, PROGRAM), descriptors(server.pid, LINK)
    before = trigger("tcp4", "127.0.0.1:1", command="before")
    server.events("connection", 1, pid=before.pid)

    died = time.monotonic()
    os.kill(child, signal.SIGKILL)
    wait_for_restart(server, child, RESTART_LIMIT)
    took = time.monotonic() - died
    print(f"back after {took * 1000:.0f} ms")
    assert took < RESTART_LIMIT

    after = trigger("tcp4", "127.0.0.1:1", command="after", count=7)
    events = server.events("connection", 7, pid=after.pid)
    assert {event["command"] for event in events} == {"after"}
    # Nothing was loaded anew: in the kernel it all went on.
    assert (descriptors(server.pid, PROGRAM), descriptors(server.pid, LINK)) == held
    assert server.api("/health")["status"] == "healthy"
    [line] = [line for line in server.log if b"Z error " in line]
    assert b"killed by signal 9" in line and b"started again" in line
    # What the old one held is gone, and an answer about that time says so.
    assert server.api("/api/events", type="connection")["complete"] is False
    assert server.process.poll() is None


def test_events_of_the_time_without_a_server_are_there_afterwards(server, trigger):
    child = child_of(server)
    freeze(server.pid)  # so that it starts no other server
    try:
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: not is_alive(child), "the server to be dead")
        made = trigger("tcp4", "127.0.0.1:1", command="meanwhile", count=101)
    finally:
        thaw(server.pid)
    wait_for_restart(server, child)
    events = server.events("connection", 101, pid=made.pid)
    for call, event in zip(made.calls, events):
        assert call.begin_ns <= event["timestamp"] <= call.end_ns


def test_a_server_that_dies_again_and_again_is_started_again(server, trigger):
    for _ in range(3):
        child = child_of(server)
        os.kill(child, signal.SIGKILL)
        wait_for_restart(server, child)
    made = trigger("udp4", "127.0.0.1:1")
    server.events("connection", 1, pid=made.pid)


# ---- the loader dies ----

def test_the_server_leaves_when_the_loader_was_killed(start_server, traces):
    server = start_server()
    child = child_of(server)
    port = server.api.port
    os.kill(server.pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(child), "the server to leave", STOP_LIMIT)
    assert server.wait_for_exit() == -signal.SIGKILL
    wait_for(lambda: not bpf_leftovers(server.objects_before) or None, "programs gone")
    assert b"loader is gone" in server.log[-1], server.log_text()
    with pytest.raises(OSError):
        server.api.request("GET", "/health")
    # The port is free again: another server takes it.
    other = start_server("--addr", f"127.0.0.1:{port}", "--metrics-addr", "127.0.0.1:0",
                         defaults=False)
    assert other.api("/health")["status"] == "healthy"


# ---- the end ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_is_orderly_and_prints_the_last_events(start_server, trigger, traces, number):
    server = start_server("--print=json")
    child = child_of(server)
    made = trigger("tcp4", "127.0.0.1:1", command="last-words", count=101)
    begin = time.monotonic()
    os.kill(server.pid, number)
    assert server.wait_for_exit(STOP_LIMIT) == 0, server.log_text()
    print(f"ended after {(time.monotonic() - begin) * 1000:.0f} ms")
    assert not is_alive(child)
    events = [json.loads(line) for line in server.output]
    own = [event for event in events if event["type"] == "connection"
           and event["pid"] == made.pid]
    assert [event["command"] for event in own] == ["last-words"] * 101
    for call, event in zip(made.calls, own):
        assert call.begin_ns <= event["timestamp"] <= call.end_ns


def test_the_end_waits_for_no_client(start_server, traces):
    """An idle connection, and one in mid-request, hold nothing up."""
    server = start_server()
    with socket.create_connection((server.api.host, server.api.port)), \
            socket.create_connection((server.api.host, server.api.port)) as half:
        half.sendall(b"POST /api/list-connections HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait_for_exit(STOP_LIMIT) == 0, server.log_text()


# ---- SIGHUP ----

def write_config(path, sample=0, disable="", level="info"):
    path.write_text(f"[server]\nlog-level = {level}\n"
                    + (f"disable = {disable}\n" if disable else "")
                    + f"\n[connection]\nsample = {sample}\n")


def test_sighup_reads_the_configuration_again(start_server, tmp_path, trigger):
    config = tmp_path / "server.conf"
    write_config(config, sample=1)
    server = start_server("--config", config)
    child = child_of(server)
    assert parameter(server, "connection", "sample") == 1
    assert server.api("/api/programs/packet_drop")["status"] == "running"

    write_config(config, sample=1_000_000_000, disable="packet_drop")
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: parameter(server, "connection", "sample") == 1_000_000_000, "the parameter")
    wait_for(lambda: server.api("/api/programs/packet_drop")["status"] == "disabled",
             "packet_drop to be switched off")
    sampled_out = trigger("udp4", "127.0.0.1:1", count=3)
    assert server.api("/api/events", pid=sampled_out.pid)["total_count"] == 0

    write_config(config)
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: parameter(server, "connection", "sample") == 0, "the parameter")
    wait_for(lambda: server.api("/api/programs/packet_drop")["status"] == "running",
             "packet_drop to run again")
    made = trigger("udp4", "127.0.0.1:1", count=3)
    server.events("connection", 3, pid=made.pid)
    assert child_of(server) == child, "the server went on all the time"


def test_sighup_with_a_bad_configuration_changes_nothing(start_server, tmp_path, trigger):
    config = tmp_path / "server.conf"
    write_config(config, sample=1)
    server = start_server("--config", config, "--log-level", "info")
    seen = len(server.log)
    config.write_text("[server]\ndisable = packet_drop\n\n[connection]\nsample = many\n")
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: len(server.log) > seen, "a line in the log")
    [line] = server.log[seen:]
    print(line.decode())
    assert f"{config} line 5".encode() in line
    assert b'"many"' in line and b" error " in line
    assert parameter(server, "connection", "sample") == 1
    assert server.api("/api/programs/packet_drop")["status"] == "running"
    made = trigger("udp4", "127.0.0.1:1", count=3)
    server.events("connection", 3, pid=made.pid)


# ---- two of them ----

def test_two_servers_at_once(start_server, trigger, traces):
    one, other = start_server(), start_server()
    assert one.api.port != other.api.port
    made = trigger("tcp4", "127.0.0.1:1", command="seen-twice", count=17)
    for server in (one, other):
        assert len(server.events("connection", 17, pid=made.pid)) == 17
    one.stop()
    made = trigger("tcp4", "127.0.0.1:1", command="seen-once", count=17)
    other.events("connection", 17, pid=made.pid)
    assert other.api("/health")["status"] == "healthy"
