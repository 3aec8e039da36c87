# SPDX-License-Identifier: MIT
"""monitor_ebpf_loader and monitor_ebpf_reader on virtual Ethernet, with a bpf file system of the
test's own."""
import fcntl
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

from harness import foreign, kernel, packets, sockets
from harness.tools import ROOT
from harness.wait import wait_for

LOADER = str(ROOT / "bin" / "monitor_ebpf_loader")
READER = str(ROOT / "bin" / "monitor_ebpf_reader")
LOADER_DEV, READER_DEV = LOADER + "-dev", READER + "-dev"
GROUP = 54321
NOBODY = 65534
DEADLINE = 20
ECHO_REQUEST, ECHO_REPLY = 8, 0
NOISE = 50  # packets at most that two namespaces send by themselves while a test runs


@pytest.fixture
def bpffs(tmp_path):
    """A mounted bpf file system; whatever is pinned in it at the end goes with it."""
    path = tmp_path / "bpf"
    path.mkdir()
    # pytest's own folders are closed to others.
    for parent in path.parents:
        if parent.owner() == "root" and len(parent.parts) > 2:
            parent.chmod(parent.stat().st_mode | 0o011)
    subprocess.run(["mount", "-t", "bpf", "bpf", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def monitor(bpffs, netns):
    """monitor(*arguments) runs the loader in the first namespace; everything is undone at the
    end, and nothing of it may be left in the kernel."""
    before = kernel.bpf_objects()
    pin = bpffs / "monitor_events"

    def run(*arguments, status=0, namespace=netns[0], binary=LOADER_DEV):
        result = subprocess.run(
            namespace.command(binary, "--pin", str(pin), *arguments), capture_output=True,
            text=True, timeout=DEADLINE, check=False)
        assert result.returncode == status, result.stderr
        assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr
        return result

    run.pin = pin
    run.state = bpffs / "monitor_events_state"
    yield run
    run("--unload")
    assert not run.pin.exists() and not run.state.exists()
    wait_for(lambda: not kernel.bpf_leftovers(before), "programs and links gone")


class Reader:
    def __init__(self, pin, *arguments, prefix=(), binary=READER_DEV):
        self.process = subprocess.Popen(
            [*prefix, binary, "--pin", str(pin), *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        os.set_blocking(self.process.stderr.fileno(), False)
        self.data, self.errors = b"", b""
        self.echoes = []

    def look(self):
        self.data += self.process.stdout.read() or b""
        self.errors += self.process.stderr.read() or b""

    def said(self, text):
        self.look()
        return text in self.errors

    def _echoes(self):
        self.look()
        end = self.data.rfind(b"\n") + 1
        lines, self.data = self.data[:end].splitlines(), self.data[end:]
        # Namespaces speak of neighbours and listeners by themselves.
        self.echoes += [event for event in map(json.loads, lines) if event["icmp_id"] == 7]
        return self.echoes

    def events(self, count=None):
        """Waits for so many echo messages of ping(); more is a failure."""
        def arrived():
            assert len(self._echoes()) <= count, f"{len(self.echoes)}, more than {count}"
            return len(self.echoes) == count
        if count is not None:
            wait_for(arrived, f"{count} lines", DEADLINE)
        return list(self._echoes())

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(DEADLINE)
        self.look()
        assert b"Sanitizer" not in self.errors and b"runtime error" not in self.errors
        return status


@pytest.fixture
def read(monitor):
    """read(*arguments) starts a reader and waits until it reads."""
    readers = []

    def start(*arguments, wait=True, **keywords):
        reader = Reader(monitor.pin, *arguments, **keywords)
        readers.append(reader)
        if wait:
            wait_for(lambda: reader.said(b": reading "), "the reader")
        return reader

    yield start
    for reader in readers:
        reader.process.kill()
        reader.process.wait()


def ping(namespace, destination, count, identifier=7, first=0):
    """Sends echo requests as fast as it goes; their answers are read and dropped."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if ":" in destination else socket.IPPROTO_ICMP
    with sockets.socket_in(namespace, family, socket.SOCK_RAW, protocol) as raw:
        for sequence in range(first, first + count):
            if family == socket.AF_INET6:
                message = struct.pack("!BBHHH", 128, 0, 0, identifier, sequence)
            else:
                message = packets.icmp_echo(identifier, sequence & 0xffff)
            raw.sendto(message, (destination, 0))


def keys(events):
    return [(event["icmp_type"], event["icmp_seq"]) for event in events]


# ---- the lines ----

def test_loader_says_what_it_did(monitor):
    result = monitor("veth0")
    assert result.stdout.splitlines() == [
        "eBPF program loaded successfully",
        "Attached to interface: veth0",
        f"Map pinned to: {monitor.pin}",
    ]
    assert result.stderr == ""


def test_a_packet_is_one_line(monitor, read, netns):
    monitor("veth0")
    reader = read()
    before = time.time() * 1000
    ping(netns[0], "10.77.0.2", 1)
    request, reply = reader.events(2)
    after = time.time() * 1000
    common = {"icmp_code": 0, "interface": "veth0", "icmp_id": 7, "icmp_seq": 0,
              "packet_size_bytes": 28, "ttl": 64, "vlan_id": None, "malformed": False}
    times = [request.pop("timestamp"), reply.pop("timestamp")]
    assert request == common | {"src_ip": "10.77.0.1", "dst_ip": "10.77.0.2",
                                "icmp_type": ECHO_REQUEST, "direction": "egress"}
    assert reply == common | {"src_ip": "10.77.0.2", "dst_ip": "10.77.0.1",
                              "icmp_type": ECHO_REPLY, "direction": "ingress"}
    assert before - 1 <= times[0] <= times[1] <= after + 1
    assert reader.end() == 0


def test_ipv6(monitor, read, netns):
    monitor("veth0")
    reader = read()
    ping(netns[0], "fd77::2", 1)
    assert [(event["src_ip"], event["dst_ip"], event["icmp_type"], event["direction"])
            for event in reader.events(2)] == [("fd77::1", "fd77::2", 128, "egress"),
                                               ("fd77::2", "fd77::1", 129, "ingress")]


def test_count(monitor, read, netns):
    monitor("veth0")
    reader = read("--count", "3")
    ping(netns[0], "10.77.0.2", 5)
    assert reader.process.wait(DEADLINE) == 0
    reader.look()
    assert reader.data.count(b"\n") == 3


# ---- many at once ----

def test_each_of_several_readers_sees_every_packet_in_order(monitor, read, netns):
    monitor("veth0")
    count = 1009
    readers = [read() for _ in range(3)]
    ping(netns[0], "10.77.0.2", count)
    expected = sorted((kind, sequence) for sequence in range(count)
                      for kind in (ECHO_REQUEST, ECHO_REPLY))
    for reader in readers:
        events = reader.events(2 * count)
        assert sorted(keys(events)) == expected
        for kind in (ECHO_REQUEST, ECHO_REPLY):
            assert [seq for type_, seq in keys(events) if type_ == kind] == list(range(count))
        assert reader.end() == 0
        assert b"missed" not in reader.errors


def test_several_interfaces(monitor, read, network, netns):
    one, other = netns
    network.veth(one, other, ["10.78.0.1/24"], ["10.78.0.2/24"], ("veth1", "veth1"))
    assert monitor("veth0", "veth1").stdout.count("Attached to interface: ") == 2
    everything, first = read(), read("--interface", "veth0")
    ping(one, "10.77.0.2", 11)
    ping(one, "10.78.0.2", 13)
    events = everything.events(2 * 24)
    assert [event["interface"] for event in events].count("veth0") == 22
    assert [event["interface"] for event in events].count("veth1") == 26
    assert {event["interface"] for event in first.events(22)} == {"veth0"}


def test_a_reader_that_stops_counts_what_it_missed(monitor, read, netns):
    monitor("veth0")
    stopped, other = read(), read()
    stopped.process.send_signal(signal.SIGSTOP)
    count = 70001
    ping(netns[0], "10.77.0.2", count)
    stopped.process.send_signal(signal.SIGCONT)

    def missed(reader):
        reader.look()
        return sum(int(line.split()[-2]) for line in reader.errors.splitlines()
                   if b"missed" in line and line.endswith(b"packets"))

    for reader in (stopped, other):
        wait_for(lambda: len(reader.events()) + missed(reader) >= 2 * count, "all accounted for",
                 DEADLINE)
        # Besides these there were some of IPv6's own, printed or missed.
        assert 2 * count <= len(reader.events()) + missed(reader) <= 2 * count + NOISE
        assert reader.end() == 0
    assert missed(stopped) > 0


def test_from_start(monitor, read, netns):
    monitor("veth0")
    ping(netns[0], "10.77.0.2", 5)
    late = read("--from-start")
    assert keys(late.events(10)) == [(kind, sequence) for sequence in range(5)
                                     for kind in (ECHO_REQUEST, ECHO_REPLY)]
    assert read().events() == []


# ---- who may ----

def as_user(group=NOBODY):
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={group}", "--clear-groups"]


def test_only_the_group_reads(monitor, read, netns):
    monitor("--group", str(GROUP), "veth0")
    status = monitor.pin.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, GROUP, 0o660)
    member = read(prefix=as_user(GROUP), binary=READER)
    ping(netns[0], "10.77.0.2", 3)
    assert len(member.events(6)) == 6

    stranger = read(prefix=as_user(), wait=False, binary=READER)
    assert stranger.process.wait(DEADLINE) == 1
    stranger.look()
    assert stranger.errors.decode() == (
        f"monitor_ebpf_reader: {monitor.pin}: only its group ({GROUP}) may read it\n")


def test_everybody_reads_on_request(monitor, read, netns):
    monitor("--mode", "0666", "veth0")
    reader = read(prefix=as_user(), binary=READER)
    ping(netns[0], "10.77.0.2", 3)
    assert len(reader.events(6)) == 6


def test_nobody_can_write(monitor, netns):
    """Not even root: the map is frozen."""
    monitor("veth0")
    result = subprocess.run(
        ["bpftool", "map", "update", "pinned", str(monitor.pin), "key", "0", "0", "0", "0",
         "value", *["0"] * 128], capture_output=True, text=True, check=False)
    assert result.returncode != 0 and "not permitted" in result.stdout + result.stderr


def test_the_state_is_roots_alone(monitor):
    monitor("veth0")
    assert stat.S_IMODE(monitor.state.stat().st_mode) == 0o700


def test_a_closed_file_system_is_opened_just_enough_and_closed_again(monitor, bpffs, read):
    bpffs.chmod(0o700)
    monitor("veth0")
    assert stat.S_IMODE(bpffs.stat().st_mode) == 0o711
    monitor("--unload")
    assert stat.S_IMODE(bpffs.stat().st_mode) == 0o700


# ---- ends ----

def test_ends_with_its_reader(monitor, netns):
    monitor("veth0")
    for count in (1, 3):
        command = (f"{READER} --pin {monitor.pin} | head -n {count} >/dev/null; "
                   "echo ${PIPESTATUS[0]}")
        with subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as shell:
            assert b"reading" in shell.stderr.readline()
            ping(netns[0], "10.77.0.2", count)
            assert shell.stdout.read() == b"0\n"
            assert shell.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_at_a_signal(monitor, read, number):
    monitor("veth0")
    assert read().end(number) == 0


def test_unload_ends_readers_and_a_reload_is_followed(monitor, read, netns):
    monitor("veth0")
    reader, waiting = read(), read("--wait")
    monitor("--unload")
    assert reader.process.wait(DEADLINE) == 0
    assert reader.said(b"it was unloaded")
    wait_for(lambda: waiting.said(b"waiting for"), "the reader to wait")
    monitor("veth0")
    ping(netns[0], "10.77.0.2", 3)
    assert keys(waiting.events(6))[-1] == (ECHO_REPLY, 2)


def test_a_reader_goes_over_to_the_next_map(monitor, read, netns):
    monitor("veth0")
    reader = read()
    ping(netns[0], "10.77.0.2", 3)
    reader.events(6)
    monitor("veth0")
    ping(netns[0], "10.77.0.2", 2, first=3)
    assert keys(reader.events(10))[-1] == (ECHO_REPLY, 4)


def test_foreground(monitor, netns):
    process = subprocess.Popen(
        netns[0].command(LOADER_DEV, "--pin", str(monitor.pin), "--foreground", "veth0"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_for(monitor.pin.exists, "the pin")
        assert process.stdout.readline() == b"eBPF program loaded successfully\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    assert not monitor.pin.exists() and not monitor.state.exists()


# ---- what goes wrong ----

def test_what_is_wrong_is_one_line(monitor):
    for arguments, status, text in (
            (("nosuch0",), 1, "there is no network interface 'nosuch0' (ip link lists them)"),
            (("veth0", "veth0"), 1, "'veth0' is named twice"),
            ((), 2, "name a network interface (--help tells more)"),
            (("--unload", "veth0"), 2,
             "--unload takes no interface: it undoes them all (--help tells more)"),
            (("--group", "no-such-group", "veth0"), 2,
             "there is no group no-such-group (--help tells more)"),
            (("--mode", "0640", "veth0"), 2,
             "--mode takes octal permissions, reading and writing alike, such as 0666, not 0640 "
             "(--help tells more)")):
        result = monitor(*arguments, status=status)
        assert result.stderr == f"monitor_ebpf_loader: {text}\n"
        assert not monitor.pin.exists() and not monitor.state.exists()


def test_a_failure_halfway_leaves_nothing(monitor, netns):
    """The second interface has somebody else's XDP program, which stays."""
    with foreign.ForeignXdp(netns[0], "lo", foreign.GENERIC) as other:
        result = monitor("veth0", "lo", status=1)
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("monitor_ebpf_loader: lo: ")
        assert str(other.id) in result.stderr and foreign.NAME in result.stderr
        assert not monitor.pin.exists() and not monitor.state.exists()
        assert "xdp" not in netns[0].ip("link", "show", "dev", "veth0")
        assert other.is_attached(netns[0], "lo")
    monitor("veth0", "lo")


def test_somebody_elses_pin_is_left_alone(monitor, bpffs):
    subprocess.run(["bpftool", "map", "create", str(monitor.pin), "type", "array", "key", "4",
                    "value", "8", "entries", "1", "name", "other"], check=True)
    result = monitor("veth0", status=1)
    assert result.stderr == (f"monitor_ebpf_loader: {monitor.pin} is there and was not made by "
                             "monitor_ebpf_loader: it is left alone\n")
    monitor("--unload", status=1)
    assert monitor.pin.exists()
    monitor.pin.unlink()


def test_a_loader_that_was_killed_is_cleaned_up_after(monitor, netns):
    """At each system call of its work in turn."""
    for call in ("mkdir", "bpf", "chown"):
        for when in (1, 2, 5, 11, 17, 23, 29):
            subprocess.run(
                netns[0].command("strace", "-f", "-o", "/dev/null", "-e",
                                 f"inject={call}:signal=KILL:when={when}", LOADER, "--pin",
                                 str(monitor.pin), "veth0"),
                capture_output=True, timeout=DEADLINE, check=False)
    result = monitor("veth0")
    assert result.stdout.startswith("eBPF program loaded successfully\n")
    assert len(list(monitor.state.iterdir())) == 2


def test_an_interface_that_is_gone_is_undone(monitor, netns):
    monitor("veth0")
    netns[0].ip("link", "delete", "veth0")
    result = monitor("--unload")
    assert result.stderr == "" and not monitor.state.exists()


def test_two_loaders_do_not_meet(monitor, bpffs):
    directory = os.open(bpffs, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        result = monitor("veth0", status=1)
        assert result.stderr == "monitor_ebpf_loader: another monitor_ebpf_loader is at work\n"
    finally:
        os.close(directory)


def test_without_a_bpf_file_system_it_is_mounted_and_unmounted(netns):
    script = f"""
        umount -l /sys/fs/bpf 2>/dev/null
        {READER}; echo reader $?
        {LOADER} --unload; echo unload $?
        {LOADER} veth0 && {READER} --from-start --count 1 >/dev/null & sleep 0
        wait; stat -f -c %T /sys/fs/bpf
        {LOADER} --unload; stat -f -c %T /sys/fs/bpf
    """
    with sockets.socket_in(netns[0], socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw, \
            subprocess.Popen(netns[0].command("unshare", "--mount", "sh", "-c", script),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as shell:
        lines = []
        for line in shell.stdout:
            lines.append(line.decode().rstrip())
            if "reading" in lines[-1]:
                raw.sendto(packets.icmp_echo(7, 0), ("10.77.0.2", 0))
    assert lines == [
        "monitor_ebpf_reader: /sys/fs/bpf/monitor_events: nothing is pinned there: run "
        "monitor_ebpf_loader first", "reader 1", "unload 0",
        "eBPF program loaded successfully", "Attached to interface: veth0",
        "Map pinned to: /sys/fs/bpf/monitor_events",
        "monitor_ebpf_reader: reading /sys/fs/bpf/monitor_events", "bpf_fs", "sysfs"]


def test_needs_root(monitor, netns):
    result = subprocess.run([*as_user(), LOADER, "veth0"], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 1
    assert result.stderr == ("monitor_ebpf_loader: needs root: it loads an eBPF program and "
                             "attaches it to interfaces\n")


def test_help_and_version():
    for binary in (LOADER, READER):
        name = os.path.basename(binary)
        text = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout
        assert text.startswith(f"Usage: {name} ")
        version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
        assert version.stdout == f"{name} {(ROOT / 'VERSION').read_text().strip()}\n"
