# SPDX-License-Identifier: MIT
"""connection: calls that take their time, are interrupted, or outlive those around them."""
import os
import signal

import pytest

from harness.expect import (ERESTARTSYS, assert_connection, internet, local, sockaddr_in,
                            sockaddr_un)
from harness.kernel import boot_ns
from harness.stall import Stall, full_listener
from harness.tools import Call
from harness.wait import wait_for

# The least that a blocked connect is left blocked.
BLOCKED_NS = 53_000_000
NAME = b"ebpf-test-stall-%d" % os.getpid()
SHOWN = local("@" + NAME.decode())


@pytest.fixture(scope="module")
def server(shared_server):
    return shared_server


@pytest.fixture
def full():
    with full_listener(NAME) as listener:
        yield listener


@pytest.fixture
def stall(full):
    """stall(action, timeout_ms=…): a thread that is in connect(2) to the full listener."""
    stalls = []

    def start(action, **options):
        stalls.append(Stall(action, sockaddr_un(full.path), **options))
        return stalls[-1].wait_until_inside()

    yield start
    for one in stalls:
        one.kill()


def while_blocked(stalled):
    """Lets some time pass of which it is known that the call was blocked; returns how much."""
    since = boot_ns()
    wait_for(lambda: boot_ns() - since >= BLOCKED_NS, "time to pass")
    stalled.wait_until_inside()
    return boot_ns() - since


def cut_short(stalled, since, return_code=-ERESTARTSYS):
    """The call of which user space saw no end, as it must have been."""
    return Call(stalled.tid, -1, return_code, since, boot_ns())


def check(event, stalled, call, blocked=0, **fields):
    assert_connection(event, stalled, call, kind="unix", command="stall", **SHOWN, **fields)
    assert event["duration_ns"] >= blocked


# ---- blocked, then done ----

def test_a_connect_takes_as_long_as_it_was_blocked(server, stall, full):
    stalled = stall("nothing")
    blocked = while_blocked(stalled)
    full.make_room()
    stalled.act()
    call = stalled.result()
    [event] = server.events("connection", 1, pid=stalled.pid)
    check(event, stalled, call, blocked, return_code=0)


def test_no_event_before_the_call_has_returned(server, stall, full, trigger):
    stalled = stall("nothing")
    # What came after it is there, so it would be there too.
    other = trigger("udp4", "127.0.0.1:1", count=3)
    server.events("connection", 3, pid=other.pid)
    assert server.api("/api/events", type="connection", pid=stalled.pid)["total_count"] == 0
    full.make_room()
    stalled.act()
    stalled.result()
    server.events("connection", 1, pid=stalled.pid)


def test_a_connect_that_runs_into_its_timeout(server, stall):
    stalled = stall("nothing", timeout_ms=211)
    stalled.act()
    call = stalled.result()
    [event] = server.events("connection", 1, pid=stalled.pid)
    check(event, stalled, call, 211_000_000, return_code=-11, error="EAGAIN")


# ---- signals ----

def test_interrupted_by_a_signal(server, stall):
    """The kernel says ERESTARTSYS; that it becomes EINTR is decided after this hook."""
    stalled = stall("interrupt")
    blocked = while_blocked(stalled)
    stalled.act()
    call = stalled.result()
    assert call.return_code == -4
    [event] = server.events("connection", 1, pid=stalled.pid)
    check(event, stalled, call, blocked, return_code=-ERESTARTSYS, error="ERESTARTSYS")


def test_interrupted_with_a_timeout(server, stall):
    """With SO_SNDTIMEO a call is never run again (socket(7)): EINTR in the kernel, too."""
    stalled = stall("interrupt", timeout_ms=60_000)
    stalled.act()
    call = stalled.result()
    [event] = server.events("connection", 1, pid=stalled.pid)
    check(event, stalled, call, return_code=-4, error="EINTR")


def test_a_call_that_the_kernel_runs_again_is_two(server, stall, full):
    stalled = stall("interrupt-and-restart")
    stalled.act()
    [first] = server.events("connection", 1, pid=stalled.pid)
    stalled.wait_until_inside()
    blocked = while_blocked(stalled)
    full.make_room()
    call = stalled.result()
    assert call.return_code == 0
    first, second = server.events("connection", 2, pid=stalled.pid)
    check(first, stalled, call, return_code=-ERESTARTSYS)
    check(second, stalled, call, blocked, return_code=0)


def test_interrupted_beyond_a_wire(server, netns, trigger):
    one, other = netns
    other.nft("table inet t {\n chain c {\n type filter hook input priority 0\n"
              " ip protocol tcp drop\n }\n}\n")
    made = trigger("tcp4", "10.77.0.2:7", namespace=one, signal_after_ms=101)
    assert made.call.return_code == -4
    [event] = server.events("connection", 1, pid=made.pid)
    assert_connection(event, made, kind="tcp4", return_code=-ERESTARTSYS, error="ERESTARTSYS",
                      **internet("10.77.0.2", 7))


# ---- the end of a process ----

def test_killed_in_the_call(server, stall):
    since = boot_ns()
    stalled = stall("nothing")
    blocked = while_blocked(stalled)
    os.kill(stalled.pid, signal.SIGKILL)
    assert stalled.wait() == -signal.SIGKILL
    [event] = server.events("connection", 1, pid=stalled.pid)
    check(event, stalled, cut_short(stalled, since), blocked)


def test_killed_in_the_call_beyond_a_wire(server, netns):
    one, other = netns
    other.nft("table inet t {\n chain c {\n type filter hook input priority 0\n"
              " ip protocol tcp drop\n }\n}\n")
    since = boot_ns()
    stalled = Stall("nothing", sockaddr_in("10.77.0.2", 7), namespace=one)
    try:
        stalled.wait_until_inside()
        blocked = while_blocked(stalled)
        os.kill(stalled.pid, signal.SIGKILL)
        stalled.wait()
    finally:
        stalled.kill()
    [event] = server.events("connection", 1, pid=stalled.pid)
    assert_connection(event, stalled, cut_short(stalled, since), kind="tcp4", command="stall",
                      **internet("10.77.0.2", 7))
    assert event["duration_ns"] >= blocked


@pytest.mark.parametrize("action", ["process-exits", "exec"])
def test_another_thread_ends_the_process(server, stall, action):
    """exit(2) and exec(2) of one thread end the others wherever they are."""
    since = boot_ns()
    stalled = stall(action)
    blocked = while_blocked(stalled)
    stalled.act()
    assert stalled.wait() == 0
    [event] = server.events("connection", 1, pid=stalled.pid)
    assert stalled.tid != stalled.pid
    # After an exec the main thread's name is another's; the one in the call had its own.
    check(event, stalled, cut_short(stalled, since), blocked)


@pytest.mark.parametrize("action", ["thread-exits", "main-exits"])
def test_other_threads_end_and_the_call_goes_on(server, stall, full, action):
    stalled = stall(action)
    assert stalled.tid != stalled.pid
    stalled.act()
    if action == "main-exits":
        wait_for(lambda: _state(stalled.pid) == "Z", "the main thread to be gone")
    blocked = while_blocked(stalled)
    full.make_room()
    call = stalled.result()
    assert stalled.wait() == 0
    [event] = server.events("connection", 1, pid=stalled.pid)
    check(event, stalled, call, blocked, return_code=0)


def _state(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


# ---- many ----

def test_many_threads_each_with_its_own_id(server, trigger):
    threads, count = 31, 13
    made = trigger("tcp4", "127.0.0.1:1", threads=threads, count=count)
    assert len({call.tid for call in made.calls}) == threads
    events = server.events("connection", threads * count, pid=made.pid)
    by_tid = {}
    for event in events:
        by_tid.setdefault(event["tid"], []).append(event)
    calls = {}
    for call in made.calls:
        calls.setdefault(call.tid, []).append(call)
    assert set(by_tid) == set(calls)
    for tid, own in calls.items():
        for event, call in zip(by_tid[tid], own, strict=True):
            assert_connection(event, made, call, kind="tcp4", **internet("127.0.0.1", 1))
    assert len({event["id"] for event in events}) == threads * count


def test_many_blocked_at_a_time(server, full, start_trigger):
    """Each thread's attempt lies apart from the others' while all are in the call."""
    threads = 101
    trigger = start_trigger("unix", sockaddr_un(full.path), hex=True, threads=threads)
    tasks = f"/proc/{trigger.pid}/task"

    def blocked():
        number = 0
        for tid in os.listdir(tasks):
            with open(f"{tasks}/{tid}/wchan", encoding="ascii") as file:
                number += file.read().startswith("unix_wait_for_peer")
        return number == threads
    wait_for(blocked, "all threads to be blocked")
    full.listener.setblocking(True)
    for _ in range(threads):
        full.make_room()
    made = trigger.finish()
    calls = {call.tid: call for call in made.calls}
    assert len(calls) == threads
    events = server.events("connection", threads, pid=made.pid)
    assert {event["tid"] for event in events} == set(calls)
    for event in events:
        assert_connection(event, made, calls[event["tid"]], kind="unix", return_code=0, **SHOWN)


def test_an_attempt_from_before_the_server(start_server, stall, full, trigger):
    """A call that began before the program was attached has no beginning, so it is no event."""
    stalled = stall("nothing")
    server = start_server("--programs", "connection")
    full.make_room()
    stalled.act()
    assert stalled.result().return_code == 0
    stalled.wait()
    later = trigger("udp4", "127.0.0.1:1")
    server.events("connection", 1, pid=later.pid)
    assert server.api("/api/events", type="connection", pid=stalled.pid)["total_count"] == 0
