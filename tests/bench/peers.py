# SPDX-License-Identifier: MIT
"""What is compared with: tools of the distribution, and references of our own. One row each."""
import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess

from machine import PATH
from stand import BenchError, wait_for

# What an administrator would type to see each connect with its result and time.
CONNECT_SCRIPT = """
tracepoint:syscalls:sys_enter_connect { @start[tid] = nsecs; @address[tid] = args->uservaddr; }
tracepoint:syscalls:sys_exit_connect /@start[tid]/ {
  $address = (struct sockaddr_in *)@address[tid];
  printf("%llu %d %s %s %d %d %d\\n", nsecs, pid, comm, ntop($address->sin_addr.s_addr),
         $address->sin_port, args->ret, nsecs - @start[tid]);
  delete(@start[tid]); delete(@address[tid]);
}
"""
STRUCTS = """
struct in_addr { uint32_t s_addr; };
struct sockaddr_in { uint16_t sin_family; uint16_t sin_port; struct in_addr sin_addr; };
"""
DROP_SCRIPT = """
tracepoint:skb:kfree_skb /args->reason > 2/ {
  printf("%llu %d %s %d %d %s\\n", nsecs, pid, comm, args->reason, args->protocol,
         ksym(args->location));
}
"""
# The same count in the kernel. What it shows now and then is no part of it.
READ_SCRIPT = """
tracepoint:syscalls:sys_enter_read { @[pid] = count(); }
interval:ms:200 { print(@); }
"""


# The name of the load by which a peer is known to be attached: no header or error has it.
# Ten bytes, since tcpstates-bpfcc cuts names there.
TRIGGER = "bench-seen"


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    package: str            # "": a reference of our own, which says when it is ready
    command: tuple          # "{tools}", "{objects}": folders of what was built
    load: str = "connect"   # what makes it show an event
    observes: bool = True   # it must have seen events when it ends
    sign: str = TRIGGER     # what its output holds once it is attached


PEERS = {peer.name: peer for peer in (
    Peer("bpftrace", "bpftrace", ("bpftrace", "-q", "-e", STRUCTS + CONNECT_SCRIPT)),
    Peer("bpftrace-drop", "bpftrace", ("bpftrace", "-q", "-e", DROP_SCRIPT), load="udp-closed"),
    Peer("tcpstates", "libbpf-tools", ("tcpstates",), load="connect-close"),
    Peer("tcpstates-bpfcc", "bpfcc-tools", ("tcpstates-bpfcc",), load="connect-close"),
    Peer("bpftrace-read", "bpftrace", ("bpftrace", "-q", "-e", READ_SCRIPT), load="read-zero",
         sign="@["),
    Peer("reference-hook", "", ("{tools}/consumer", "{tools}/sys_exit.bpf.o", "events")),
    Peer("reference", "", ("{tools}/consumer", "{tools}/connect.bpf.o", "events")),
    Peer("reference-drop", "", ("{tools}/consumer", "{tools}/drop.bpf.o", "events")),
    Peer("reference-same", "", ("{tools}/consumer", "{objects}/connection.bpf.o", "connection")),
    Peer("hello", "", ("{tools}/hello", "8090"), observes=False),
)}
START_DEADLINE = 15.0


class Absent(Exception):
    """A peer that cannot run here, and why."""


class Running:
    def __init__(self, peer, process, output):
        self.peer, self.process, self.output = peer, process, output

    @property
    def pids(self):
        return [self.process.pid]

    def lost(self):
        """Events that bpftrace says it lost so far."""
        return sum(map(int, re.findall(rb"Lost (\d+) events", self.process.errors.read_bytes())))

    def forget_output(self):
        os.truncate(self.output, 0)

    def confirm(self):
        """Raises Absent unless it observed what was just measured. One that has died, or never
        was attached, slows nothing down and would look like the best of all."""
        status = self.process.poll()
        if status is not None:
            raise Absent(f"it ended while it was measured (exit status {status})")
        if self.peer.package and self.peer.observes:
            wait_or_absent(lambda: os.path.getsize(self.output) > 0,
                           f"{self.peer.name} showed nothing while it was measured", 2.0)


def wait_or_absent(condition, what, deadline):
    try:
        wait_for(condition, what, deadline)
    except BenchError:
        raise Absent(what) from None


def _command(stand, peer):
    command = [part.replace("{tools}", str(stand.tools)).replace("{objects}", str(stand.objects))
               for part in peer.command]
    found = shutil.which(command[0], path=PATH)
    if not found:
        raise Absent(f"{peer.package} is not installed (make deps-bench)")
    return [found, *command[1:]]


def _last_words(running):
    """What it says at its end: on standard output, as bcc does, or on standard error."""
    for path in (running.output, running.process.errors):
        lines = [line.strip() for line in path.read_text(errors="replace").split("\n")]
        if any(lines):
            return [line for line in lines if line][-1][:160]
    return f"exit status {running.process.returncode}, without a word"


def _is_attached(running):
    """It has shown an event of the load that was made for this; a reference says so itself."""
    if running.process.poll() is not None:
        raise Absent(f"it ends at once: {_last_words(running)}")
    said = running.output.read_bytes()
    return running.peer.sign.encode() in said if running.peer.package else b'"ready":true' in said


@contextlib.contextmanager
def running(stand, name):
    """The peer, attached: it has shown an event. Raises Absent, and remembers why; so does
    confirm(), which whoever measures calls when it is done."""
    peer = PEERS[name]
    stand.look_around()
    output = stand.folder / f"{name}.output"
    try:
        command = _command(stand, peer)
    except Absent as error:
        stand.skipped_peers[name] = str(error)
        raise
    with contextlib.suppress(FileNotFoundError):
        output.unlink()
    with stand.child(command, name, output, signal.SIGINT) as process:
        it = Running(peer, process, output)
        try:
            if peer.package:
                # It may hold lines back until some thousand bytes are there.
                with stand.background(peer.load, rate=5000, seconds=START_DEADLINE,
                                      command=TRIGGER):
                    wait_or_absent(lambda: _is_attached(it), "it shows no event", START_DEADLINE)
            else:
                wait_or_absent(lambda: _is_attached(it), "it does not get ready", START_DEADLINE)
            it.forget_output()
            yield it
        except Absent as error:
            stand.skipped_peers[name] = str(error)
            raise


def versions():
    """What is installed of the peers: {package: version or why not}."""
    packages = sorted({peer.package for peer in PEERS.values() if peer.package} | {"tcpdump"})
    found = {}
    for package in packages:
        query = ["dpkg-query", "-W", "-f=${Version}", package]
        try:
            done = subprocess.run(query, capture_output=True, text=True, check=False)
            found[package] = done.stdout if done.returncode == 0 and done.stdout else \
                "not installed"
        except FileNotFoundError:
            peers = [peer for peer in PEERS.values() if peer.package == package]
            there = peers and shutil.which(peers[0].command[0], path=PATH)
            found[package] = "installed" if there else "not installed"
    return found
