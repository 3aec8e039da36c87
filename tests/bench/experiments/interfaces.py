# SPDX-License-Identifier: MIT
"""3: what a program on an interface costs the packets that are not its business."""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys

from figures import Figure
from stand import BenchError, wait_for

FUNCTION = "icmp_xdp_frags"
NEAR, FAR, PORT = "10.79.0.1", "10.79.0.2", "5001"
TIMEOUT = 120
UNDER_WAY = 10_000_000  # bytes: the connection has left its slow start
# One TCP connection, as fast as it goes.
RECEIVER = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
stream, _ = listener.accept()
buffer = bytearray(1 << 18)
while stream.recv_into(buffer):
    pass
"""
SENDER = """
import socket, sys, time
end = time.monotonic() + 10
while True:
    try:
        stream = socket.create_connection((sys.argv[1], int(sys.argv[2])))
        break
    except ConnectionRefusedError:
        if time.monotonic() > end:
            raise
        time.sleep(0.01)
data = bytes(1 << 18)
while True:
    stream.sendall(data)
"""


def _compare(stand, pairs, *more):
    """What packet_cost says of our function and a bare pass."""
    done = subprocess.run(
        [stand.tools / "packet_cost", stand.objects / "icmp.bpf.o", FUNCTION, str(pairs), *more],
        stdout=subprocess.PIPE, check=False, timeout=TIMEOUT)
    if done.returncode:
        raise BenchError(f"packet_cost: exit status {done.returncode}")
    return json.loads(done.stdout)


def _other_packets(stand):
    """ns over a bare pass, of the kind of packet that pays most."""
    kinds = _compare(stand, stand.pick(40, 5))
    over = {kind: [ours - bare for ours, bare in zip(times["ours"], times["pass"])]
            for kind, times in kinds.items()}
    detail = {f"over_{kind}_ns": round(statistics.median(samples), 2)
              for kind, samples in over.items()}
    worst = max(over, key=lambda kind: statistics.median(over[kind]))
    stand.figures["slowdown.xdp"] = Figure(over[worst], detail=detail | {"worst": worst})


@contextlib.contextmanager
def _wire():
    """`near` is here, `far` in a namespace of its own; gone at the end."""
    name = f"ebpf-bench-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for command in (f"ip link add near type veth peer name far netns {name}",
                        f"ip address add {NEAR}/24 dev near", "ip link set near up",
                        f"ip -n {name} address add {FAR}/24 dev far",
                        f"ip -n {name} link set far up"):
            subprocess.run(command.split(), check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


def _received():
    """Bytes that `near` has taken from the wire."""
    for line in pathlib.Path("/proc/self/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "near":
            return int(counts.split()[0])
    return 0


def _other_traffic(stand):
    """Throughput of one connection that is under way while the programs take turns."""
    with _wire() as namespace, \
            stand.child([sys.executable, "-c", RECEIVER, NEAR, PORT], "receiver"), \
            stand.child(["ip", "netns", "exec", namespace, sys.executable, "-c", SENDER, NEAR,
                         PORT], "sender"):
        wait_for(lambda: _received() > UNDER_WAY, "traffic on the wire")
        rates = _compare(stand, stand.pick(300, 25), "near")
    # On a busy machine nobody may have had a turn in one of these.
    less = [(1 - ours / bare) * 100 for ours, bare in zip(rates["ours"], rates["pass"]) if bare]
    if len(less) < len(rates["pass"]) / 2:
        raise BenchError("there was hardly any traffic on the wire")
    stand.figures["slowdown.throughput"] = Figure(
        less, detail={"pass_mbit_s": round(statistics.median(rates["pass"]) * 8 / 1e6)})


def run(stand):
    stand.look_around()
    _other_packets(stand)
    _other_traffic(stand)
