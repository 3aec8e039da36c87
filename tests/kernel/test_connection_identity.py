# SPDX-License-Identifier: MIT
"""connection: who it was, when it was, and the filters that the kernel applies."""
import pytest

from harness import cgroups
from harness.expect import assert_connection, internet
from harness.kernel import boot_ns, boot_to_real_offset_ns, parse_rfc3339_ns
from harness.processes import ledger, settled_ledger

TARGET = "127.0.0.1:1"
FIELDS = {"kind": "tcp4", **internet("127.0.0.1", 1)}


@pytest.fixture(scope="module")
def server(shared_server):
    return shared_server


# ---- who ----

@pytest.mark.parametrize("command, shown", [
    ("fifteen-letters", "fifteen-letters"),
    ("longer-than-the-kernel-keeps", "longer-than-the"),
    ("", ""),
    (b"with \"quotes\"", "with \"quotes\""),
    (b"back\\slash", "back\\slash"),
    (b"new\nline\ttab\r", "new\nline\ttab\r"),
    (b"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
    (b"bad\xff\xfeutf8\xc3", "bad\ufffd\ufffdutf8\ufffd"),
    ("sm\u00f8rrebr\u00f8d".encode(), "sm\u00f8rrebr\u00f8d"),
    ("\u00e9".encode() * 8, "\u00e9" * 7 + "\ufffd"),
    (b"\xed\xa0\x80surrogate", "\ufffd\ufffd\ufffdsurrogate"),
    (b"</script>&<", "</script>&<"),
    (b"\x7f\x01\x02", "\x7f\x01\x02"),
])
def test_commands(server, trigger, command, shown):
    made = trigger("tcp4", TARGET, command=command, count=3)
    for event, call in zip(server.events("connection", 3, pid=made.pid), made.calls):
        assert_connection(event, made, call, command=shown, **FIELDS)


def test_a_command_of_the_thread_and_not_of_the_process(server, trigger):
    """It is found under the name it has, and under no other."""
    made = trigger("tcp4", TARGET, command="ebpf \"test\"")
    server.events("connection", 1, pid=made.pid, command="ebpf \"test\"")
    assert server.api("/api/events", pid=made.pid, type="connection",
                      command="trigger")["total_count"] == 0


@pytest.mark.parametrize("uid", [1, 1009, 65534, 2 ** 31 - 1])
def test_users(server, trigger, uid):
    made = trigger("tcp4", TARGET, uid=uid, count=3)
    assert made.uid == uid
    for event, call in zip(server.events("connection", 3, pid=made.pid), made.calls):
        assert_connection(event, made, call, **FIELDS)
    assert server.api("/api/events", type="connection", pid=made.pid, uid=uid)["total_count"] == 3


def test_a_control_group_of_its_own(server, trigger):
    if cgroups.mount_point() is None:
        pytest.skip("no cgroup v2 hierarchy is mounted")
    with cgroups.group("one") as one, cgroups.group("two") as two:
        assert one.inode != two.inode
        for group in (one, two):
            made = trigger("tcp4", TARGET, namespace=group, count=3)
            events = server.events("connection", 3, pid=made.pid)
            for event, call in zip(events, made.calls):
                assert_connection(event, made, call, group=group.inode, **FIELDS)
            server.events("connection", 3, cgroup_id=group.inode)


# ---- when ----

def test_time_is_the_wall_clock_s_and_never_goes_back(server, trigger):
    count = 1009
    first = boot_ns() + boot_to_real_offset_ns()
    made = trigger("udp4", TARGET, count=count)
    last = boot_ns() + boot_to_real_offset_ns()
    events = server.events("connection", count, pid=made.pid)
    times = [parse_rfc3339_ns(event["time"]) for event in events]
    stamps = [event["timestamp"] for event in events]
    assert stamps == sorted(stamps) and len(set(stamps)) == count
    assert times == sorted(times) and len(set(times)) == count
    assert first - 50_000_000 <= times[0] and times[-1] <= last + 50_000_000
    for event, call in zip(events, made.calls):
        assert_connection(event, made, call, kind="udp4", **internet("127.0.0.1", 1))


# ---- filters of the kernel ----

def own_server(start_server, *settings):
    """A server with the settings, and its ledger now: others connect, too."""
    arguments = [word for setting in settings for word in ("--set", f"connection.{setting}")]
    server = start_server("--programs", "connection", *arguments)
    return server, ledger(server)


def counts_after(server, before, stored, filtered, sampled_out=0):
    """The ledger once it says so. Others on the machine can only add to what is filtered."""
    def is_so(counts):
        return (counts["stored"] == before["stored"] + stored and
                counts["filtered"] >= before["filtered"] + filtered and
                counts["sampled_out"] == before["sampled_out"] + sampled_out)
    counts = settled_ledger(server, expected=is_so)
    assert counts["lost"] == 0 and counts["malformed"] == 0 and counts["expired"] == 0
    assert counts["held"] == counts["stored"] == stored
    assert server.api("/api/events", type="connection", limit=1)["total_count"] == stored


def test_only_pid(start_server, start_trigger, trigger):
    wanted = start_trigger("tcp4", TARGET, wait=True, count=17)
    server, before = own_server(start_server, f"only_pid={wanted.pid}")
    trigger("tcp4", TARGET, count=101)
    wanted.go()
    made = wanted.finish()
    counts_after(server, before, stored=17, filtered=101)
    for event, call in zip(server.events("connection", 17), made.calls):
        assert_connection(event, made, call, **FIELDS)


def test_only_uid(start_server, trigger):
    server, before = own_server(start_server, "only_uid=1013")
    trigger("tcp4", TARGET, count=101)
    made = trigger("tcp4", TARGET, uid=1013, count=19)
    trigger("tcp4", TARGET, uid=1014, count=103)
    counts_after(server, before, stored=19, filtered=204)
    for event, call in zip(server.events("connection", 19), made.calls):
        assert_connection(event, made, call, **FIELDS)


@pytest.mark.parametrize("command", ["fifteen-letters", "s", "with space \"x\""])
def test_only_command(start_server, trigger, command):
    server, before = own_server(start_server, f"only_command={command}")
    made = trigger("tcp4", TARGET, command=command, count=23)
    # A longer and a shorter name are other names.
    trigger("tcp4", TARGET, command=command[:-1], count=101)
    trigger("tcp4", TARGET, command=(command + "x")[-15:], count=107)
    counts_after(server, before, stored=23, filtered=208)
    for event, call in zip(server.events("connection", 23), made.calls):
        assert_connection(event, made, call, command=command, **FIELDS)


def test_filters_at_once(start_server, trigger):
    """Each has to let an event pass."""
    server, before = own_server(start_server, "only_uid=1013", "only_command=both")
    trigger("tcp4", TARGET, uid=1013, command="one", count=101)
    trigger("tcp4", TARGET, command="both", count=103)
    made = trigger("tcp4", TARGET, uid=1013, command="both", count=29)
    counts_after(server, before, stored=29, filtered=204)
    assert {event["pid"] for event in server.events("connection", 29)} == {made.pid}


def test_sample(start_server, trigger):
    """One in so many, by chance; what is left out is counted, and only of what the filters pass."""
    count, every = 20_011, 7
    server, _ = own_server(start_server, f"sample={every}", "only_command=sampled")
    trigger("udp4", TARGET, command="other", count=1009)
    trigger("udp4", TARGET, command="sampled", count=count)
    counts = settled_ledger(
        server, expected=lambda now: now["stored"] + now["sampled_out"] == count)
    assert counts["lost"] == 0 and counts["filtered"] >= 1009
    # Binomial: the standard deviation is 49.5, and this is ten of them.
    assert abs(counts["stored"] - count / every) < 495, counts
    assert server.api("/api/events", type="connection", limit=1)["total_count"] == counts["stored"]


@pytest.mark.parametrize("every", [0, 1])
def test_sample_of_all(start_server, trigger, every):
    server, before = own_server(start_server, f"sample={every}", "only_command=sampled")
    trigger("udp4", TARGET, command="sampled", count=1009)
    counts_after(server, before, stored=1009, filtered=0)


def test_parameters_are_told(start_server):
    server, _ = own_server(start_server, "only_uid=1013", "only_pid=17", "sample=3",
                           "only_command=x")
    told = {item["name"]: item["value"]
            for item in server.api("/api/programs/connection")["parameters"]}
    assert told == {"only_uid": 1013, "only_pid": 17, "sample": 3, "only_command": "x"}
