# SPDX-License-Identifier: MIT
"""syscalls: every read and write of every process, counted once, whatever becomes of it."""
import json
import os
import shutil
import subprocess

import pytest

from harness import exposition, processes
from harness.kernel import bpf_objects, cgroup_id
from harness.wait import wait_for

CALLS = "ebpf_server_syscalls_process_calls_total"
BYTES = "ebpf_server_syscalls_process_bytes_total"
ERRORS = "ebpf_server_syscalls_process_errors_total"
LATENCY = "ebpf_server_syscalls_latency_seconds"
VARIANTS = ["readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2"]
# What keeps others on this machine out of the counts.
NAME = "counted-calls"


def settings(**values):
    """{"stream": 1} → --set syscalls.stream=1 …"""
    return [part for name, value in values.items()
            for part in ("--set", f"syscalls.{name}={value}")]


@pytest.fixture
def start(start_server):
    """A server that runs `syscalls` alone, with these parameters, and shows all its series: others
    on this machine may make more calls than a test does."""
    return lambda *options, **values: start_server(
        "--programs", "syscalls", "--max-series", 10000, *options, *settings(**values))


def scrape(server):
    response = server.metrics.request("GET", "/metrics")
    assert response.status == 200
    return exposition.parse(response.body)


def series(server, family, sample=None):
    """{(pid, comm, syscall): value}."""
    families = scrape(server)
    found = {}
    for labels, value in families[family].samples.get(sample or family, {}).items():
        labels = dict(labels)
        key = labels["pid"], labels["comm"], labels["syscall"]
        found[key] = found.get(key, 0) + value
    return found


def of_pid(server, family, pid, sample=None):
    """{syscall: value} of one process."""
    return {syscall: value for (of, _, syscall), value in series(server, family, sample).items()
            if of == str(pid)}


# ---- off until asked for ----

def test_it_is_off_by_default(server):
    program = server.api("/api/programs/syscalls")
    assert (program["status"], program["loaded"], program["attached"]) == \
        ("disabled", False, False)
    held = processes.descriptors(server.pid, processes.PROGRAM)
    names = [item["name"] for item in _programs(held)]
    assert names and not [name for name in names if name.startswith("syscalls")]


def _programs(numbers):
    return [item for (kind, number), item in bpf_objects().items()
            if kind == "prog" and number in numbers]


def hooks(server):
    return server.api("/api/programs/syscalls")["hook"].split(", ")


def test_the_entry_is_hooked_only_while_it_is_needed(start):
    server = start()
    assert "tp_btf/sys_exit" in hooks(server) and "tp_btf/sys_enter" not in hooks(server)
    for name in ("latency", "stream"):
        _set(server, name, True)
        assert "tp_btf/sys_enter" in hooks(server)
        _set(server, name, False)
        assert "tp_btf/sys_enter" not in hooks(server)


def _set(server, name, value):
    answer = server.api.request("PATCH", "/api/programs/syscalls",
                                body=json.dumps({"parameters": {name: value}}).encode(),
                                headers={"Content-Type": "application/json"})
    assert answer.status == 200, answer.text


# ---- counts ----

def test_calls_bytes_and_errors_are_exact(start, calls):
    server = start()
    made = calls("read=1009", "write=503", "read-ebadf=3", "write-ebadf=5", "read-eagain=7",
                 "read-efault=11", "write-efault=13", bytes=17, command=NAME)
    assert of_pid(server, CALLS, made.pid) == {}
    made.make()
    assert series(server, CALLS).items() >= {
        (str(made.pid), NAME, "read"): 1009 + 3 + 7 + 11,
        (str(made.pid), NAME, "write"): 503 + 5 + 13}.items()
    assert of_pid(server, BYTES, made.pid) == {"read": 1009 * 17, "write": 503 * 17}
    assert of_pid(server, ERRORS, made.pid) == {"read": 3 + 7 + 11, "write": 5 + 13}


def test_variants_count_only_when_asked_for(start, calls):
    server = start()
    orders = [f"{name}={count}" for name, count in zip(VARIANTS, (3, 5, 7, 11, 13, 17, 19, 23))]
    first = calls("read=2", *orders)
    first.make()
    assert of_pid(server, CALLS, first.pid) == {"read": 2}
    _set(server, "variants", True)
    second = calls("write=29", *orders, bytes=3)
    second.make()
    expected = dict(zip(VARIANTS, (3, 5, 7, 11, 13, 17, 19, 23))) | {"write": 29}
    assert of_pid(server, CALLS, second.pid) == expected
    assert of_pid(server, BYTES, second.pid) == {name: 3 * count
                                                 for name, count in expected.items()}
    assert set(of_pid(server, ERRORS, second.pid).values()) == {0}
    # What was counted before goes on.
    assert of_pid(server, CALLS, first.pid) == {"read": 2}


def test_threads_count_for_their_process(start, calls):
    server = start()
    made = calls("read=10007", "write=997", threads=8)
    made.make()
    assert of_pid(server, CALLS, made.pid) == {"read": 80056, "write": 7976}


def test_a_32_bit_call_is_what_it_means_there(start, calls):
    """3 and 4 are read and write in the 32-bit interface, close and stat in the other one."""
    server = start(variants=1)
    made = calls("read=2", "write=3", "compat-read=5", "compat-write=7", "close=11",
                 "number-4=13")
    made.make()
    assert of_pid(server, CALLS, made.pid) == {"read": 2 + 5, "write": 3 + 7}
    assert of_pid(server, BYTES, made.pid) == {"read": 2 + 5, "write": 3 + 7}


def test_a_new_name_is_the_same_process(start, calls):
    server = start(latency=1)
    made = calls("read=3", "write=5", command="before", rename="after")
    made.make()
    for family, sample in ((CALLS, None), (LATENCY, f"{LATENCY}_count")):
        assert {key: value for key, value in series(server, family, sample).items()
                if key[0] == str(made.pid)} == {
                    (str(made.pid), "after", "read"): 3, (str(made.pid), "after", "write"): 5}


def test_a_series_ends_with_its_process(start, calls):
    server = start(only_command=NAME, latency=1)
    made = calls("read=3", "write=5", command=NAME)
    made.make()
    alive = {(str(made.pid), NAME, "read"): 3, (str(made.pid), NAME, "write"): 5}
    other = {("other", "other", "other"): 8}
    for _ in range(2):
        assert series(server, CALLS) == alive
    made.end()
    assert series(server, CALLS) == alive
    for _ in range(2):
        families = scrape(server)
        assert {name: sum(families[family].samples[name].values())
                for family, name in ((CALLS, CALLS), (LATENCY, f"{LATENCY}_count"))} \
            == {CALLS: 8, f"{LATENCY}_count": 8}
        assert series(server, CALLS) == other


def test_a_process_id_that_comes_again(start, calls):
    """A new process of the same number begins at 0; the old one's counts are not lost."""
    last_pid = "/proc/sys/kernel/ns_last_pid"
    if not os.path.exists(last_pid):
        pytest.skip("this kernel cannot choose process ids (CONFIG_CHECKPOINT_RESTORE)")
    server = start(only_command=NAME, latency=1)
    first = calls("read=3", command=NAME)
    first.make()
    first.end()

    def again():
        # Its parent, and then the process itself.
        with open(last_pid, "w", encoding="ascii") as file:
            file.write(str(first.pid - 2))
        second = calls("read=5", command=NAME)
        if second.pid == first.pid:
            return second
        second.kill()
        return None
    second = wait_for(again, f"another process {first.pid}", 30)
    second.make()
    key, other = (str(first.pid), NAME, "read"), ("other", "other", "other")
    # One that has ended is shown once more; both have the same labels then.
    assert series(server, CALLS) == {key: 8}
    assert series(server, CALLS) == {key: 5, other: 3}
    assert series(server, LATENCY, f"{LATENCY}_count") == {key: 5, other: 3}


def test_short_lived_processes_add_up(start, calls):
    """More of them than the map holds entries."""
    server = start("--max-series", 100, only_command=NAME)
    made = calls("read=3", "write=2", "read-ebadf=1", processes=10007, command=NAME, bytes=5)
    assert made.make() == 6 * 10007
    assert sum(series(server, CALLS).values()) == 6 * 10007
    assert sum(series(server, BYTES).values()) == 25 * 10007
    assert sum(series(server, ERRORS).values()) == 10007
    wait_for(lambda: series(server, CALLS) == {("other", "other", "other"): 6 * 10007},
             "all of it in other")


def test_filters_restrict_what_is_counted(start, calls):
    server = start(only_command=NAME)
    other = calls("read=3", command="somebody")
    made = calls("read=5", command=NAME)
    other.make()
    made.make()
    assert series(server, CALLS) == {(str(made.pid), NAME, "read"): 5}


# ---- latency ----

def test_there_is_no_latency_unless_asked_for(start, calls):
    server = start()
    made = calls("read=3")
    made.make()
    assert of_pid(server, CALLS, made.pid) == {"read": 3}
    assert series(server, LATENCY, f"{LATENCY}_count") == {}


def test_every_call_has_a_latency(start, calls):
    server = start(latency=1)
    made = calls("read=1009", "write=503", "read-ebadf=3", "read-delayed=7", command=NAME)
    made.make()
    assert of_pid(server, CALLS, made.pid) == {"read": 1019, "write": 503}
    assert of_pid(server, LATENCY, made.pid, f"{LATENCY}_count") == {"read": 1019, "write": 503}
    sums = of_pid(server, LATENCY, made.pid, f"{LATENCY}_sum")
    assert 7 * 0.020 <= sums["read"] < 60 and 0 < sums["write"] < 60
    buckets = {}
    for labels, value in scrape(server)[LATENCY].samples[f"{LATENCY}_bucket"].items():
        labels = dict(labels)
        if labels["pid"] == str(made.pid) and labels["syscall"] == "read":
            buckets[float(labels["le"])] = value
    assert buckets[float("inf")] == 1019
    # The delayed ones, and few of the others, take more than 2^24 ns.
    slow = 1019 - max(value for le, value in buckets.items() if le < 0.017)
    assert 7 <= slow < 100


# ---- events ----

def test_events_are_whole(start, calls):
    server = start(stream=1)
    made = calls("read=2", "write=1", "read-ebadf=1", "read-eagain=1", "write-efault=1",
                 "read-delayed=1", bytes=17, command=NAME)
    made.make()
    events = server.events("syscalls", 7, pid=made.pid)
    seen = [{name: event[name] for name in ("syscall", "bytes", "return_code", "error")}
            for event in events]
    good = {"bytes": 17, "return_code": 17, "error": None}
    assert seen == [
        {"syscall": "read"} | good, {"syscall": "read"} | good, {"syscall": "write"} | good,
        {"syscall": "read", "bytes": 0, "return_code": -9, "error": "EBADF"},
        {"syscall": "read", "bytes": 0, "return_code": -11, "error": "EAGAIN"},
        {"syscall": "write", "bytes": 0, "return_code": -14, "error": "EFAULT"},
        {"syscall": "read", "bytes": 8, "return_code": 8, "error": None}]
    assert events[3]["fd"] == -1
    descriptors = {os.readlink(f"/proc/{made.pid}/fd/{name}"): int(name)
                   for name in os.listdir(f"/proc/{made.pid}/fd")}
    assert [event["fd"] for event in events[:3]] == \
        [descriptors["/dev/zero"], descriptors["/dev/zero"], descriptors["/dev/null"]]
    assert events[6]["fd"] == descriptors["anon_inode:[timerfd]"]
    for event in events:
        assert set(event) == {"id", "type", "pid", "tid", "uid", "command", "timestamp", "time",
                              "cgroup_id", "duration_ns", "return_code", "error", "bytes", "fd",
                              "syscall"}
        assert (event["type"], event["pid"], event["tid"], event["uid"], event["command"],
                event["cgroup_id"]) == ("syscalls", made.pid, made.pid, 0, NAME, cgroup_id())
        assert event["duration_ns"] > 0
    assert 20_000_000 <= events[6]["duration_ns"] < 10_000_000_000
    times = [event["timestamp"] for event in events]
    assert times == sorted(times)


def test_switched_off_and_on_again(start, tmp_path):
    """A call that began while nobody looked has no duration, and so no event; least of all that of
    an earlier one."""
    shutil.copy(shutil.which("cat"), tmp_path / NAME)
    server = start("--set", "syscalls.only_command=" + NAME, stream=1)
    cat = subprocess.Popen([tmp_path / NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           bufsize=0)

    def pass_on(line):
        cat.stdin.write(line)
        assert cat.stdout.read(len(line)) == line
    try:
        pass_on(b"seen\n")
        _set(server, "stream", False)
        pass_on(b"unseen\n")
        _set(server, "stream", True)
        pass_on(b"half seen\n")
        pass_on(b"seen again\n")
        sizes = [event["bytes"] for event in server.events(
            "syscalls", 5, pid=cat.pid, bytes="5,7,10,11")]
        assert sizes == [5, 5, 10, 11, 11]
    finally:
        cat.kill()
        cat.communicate()


def test_one_event_a_call(start, calls):
    server = start("--memory", "64MiB", stream=1, only_command=NAME, variants=1)
    counts = {"read": 1009, "write": 503} | dict(zip(VARIANTS, (3, 5, 7, 11, 13, 17, 19, 23)))
    made = calls(*(f"{name}={count}" for name, count in counts.items()), threads=3, command=NAME)
    made.make()
    for name, count in counts.items():
        assert server.api("/api/events", type="syscalls", syscall=name,
                          limit=1)["total_count"] == 3 * count
    # Both at once: the same calls are counted, too.
    assert of_pid(server, CALLS, made.pid) == {name: 3 * count for name, count in counts.items()}
    ledger = processes.settled_ledger(server, "syscalls")
    assert ledger["lost"] == 0 and ledger["stored"] == 3 * sum(counts.values())


def test_variants_make_no_events_unless_asked_for(start, calls):
    server = start(stream=1)
    made = calls("readv=3", "pwrite64=5", "read=2")
    made.make()
    assert {event["syscall"] for event in server.events("syscalls", 2, pid=made.pid)} == {"read"}


def test_there_are_no_events_unless_asked_for(start, calls):
    server = start()
    calls("read=3").make()
    ledger = processes.settled_ledger(server, "syscalls")
    assert ledger["produced"] == 0


def test_what_is_lost_is_in_the_ledger(start, calls):
    """More calls than a small ring holds while nobody reads it."""
    server = start("--ring-size", "64KiB", stream=1, only_command=NAME)
    made = calls("read=20011", command=NAME)
    child = processes.child_of(server)
    processes.freeze(child)
    try:
        made.make()
    finally:
        processes.thaw(child)
    ledger = processes.settled_ledger(server, "syscalls")
    assert ledger["lost"] > 0
    assert ledger["stored"] + ledger["lost"] == 20011
    assert of_pid(server, CALLS, made.pid) == {"read": 20011}


# ---- the list of processes ----

def post(server, path, value):
    answer = server.api.post(path, value)
    assert answer.status == 200, answer.text
    return answer.json()


def test_only_listed_processes(start, calls):
    """The routes of the list work while the program runs; nothing else is counted meanwhile."""
    server = start("--set", "syscalls.only_command=" + NAME, stream=1)
    listed, other = calls("read=3", command=NAME), calls("read=5", command=NAME)
    assert post(server, "/add_pids", {"pids": [listed.pid]})["total_pids"] == 1
    listed.make()
    other.make()
    assert {pid: count for (pid, *_), count in series(server, CALLS).items()} == \
        {str(listed.pid): 3}
    ledger = processes.settled_ledger(server, "syscalls")
    assert ledger["stored"] == 3 and ledger["filtered"] >= 5
    assert server.api("/target_pids")["target_pids"] == [listed.pid]

    post(server, "/set_print_all", {"print_all": True})
    everybody = calls("read=11", command=NAME)
    everybody.make()
    assert of_pid(server, CALLS, everybody.pid) == {"read": 11}
    assert len(server.events("syscalls", 11, pid=everybody.pid)) == 11

    post(server, "/set_print_all", {"print_all": False})
    nobody = calls("read=7", command=NAME)
    nobody.make()
    assert of_pid(server, CALLS, nobody.pid) == {}
    post(server, "/clear_pid_list", {"clear_pid_list": True})
    again = calls("read=13", command=NAME)
    again.make()
    assert of_pid(server, CALLS, again.pid) == {"read": 13}
