# SPDX-License-Identifier: MIT
"""What is compared with: tools of the distribution, and references of our own. One row each."""
import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess

from stand import BenchError, wait_for

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

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


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    package: str
    command: tuple          # "{tools}" stands for the folder of our own references
    load: str = "connect"   # what makes it say something, by which it is known to be attached
    version: tuple = ()     # the command that tells it


PEERS = {peer.name: peer for peer in (
    Peer("bpftrace", "bpftrace", ("bpftrace", "-q", "-e", STRUCTS + CONNECT_SCRIPT),
         version=("bpftrace", "--version")),
    Peer("bpftrace-drop", "bpftrace", ("bpftrace", "-q", "-e", DROP_SCRIPT), load="udp-closed"),
    Peer("tcpstates", "libbpf-tools", ("tcpstates",), load="connect-close"),
    Peer("tcpstates-bpfcc", "bpfcc-tools", ("tcpstates-bpfcc",), load="connect-close"),
    Peer("reference", "", ("{tools}/consumer", "{tools}/connect.bpf.o", "events")),
    Peer("reference-drop", "", ("{tools}/consumer", "{tools}/drop.bpf.o", "events")),
    Peer("reference-same", "", ("{tools}/consumer", "{objects}/connection.bpf.o", "connection")),
    Peer("hello", "", ("{tools}/hello", "8090")),
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


def _command(stand, peer):
    command = [part.replace("{tools}", str(stand.tools)).replace("{objects}", str(stand.objects))
               for part in peer.command]
    found = shutil.which(command[0], path=PATH)
    if not found:
        raise Absent(f"{peer.package} is not installed (make deps-bench)")
    return [found, *command[1:]]


def _last_line(path):
    lines = path.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")


def _speaks(running):
    if running.process.poll() is not None:
        raise Absent(f"it ends: {_last_line(running.process.errors)[:120]}")
    return os.path.getsize(running.output) > 0


@contextlib.contextmanager
def running(stand, name):
    """The peer, attached: it has seen a load. Raises Absent, and remembers why."""
    peer = PEERS[name]
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
                with stand.background(peer.load, rate=5000, seconds=START_DEADLINE):
                    wait_for(lambda: _speaks(it), f"{name} to say something", START_DEADLINE)
            else:
                wait_for(lambda: _speaks(it), f"{name} to be ready", START_DEADLINE)
        except (Absent, BenchError) as error:
            stand.skipped_peers[name] = str(error)
            raise Absent(str(error)) from None
        it.forget_output()
        yield it


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
