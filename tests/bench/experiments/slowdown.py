# SPDX-License-Identifier: MIT
"""3: how much slower the observed program becomes."""
import contextlib
import statistics

import peers
from daemon import daemon
from figures import Figure
from stand import BenchError


CALLS = "ebpf_server_syscalls_process_calls_total{"
# What each load must show in our own counts while programs are enabled.
STREAMS = {"connect-close": "connection", "udp-closed": "packet_drop"}


def _counted(server, kind):
    """What our own programs saw so far of the calls of this load, stored or known to be lost."""
    if kind in STREAMS:
        counts = server.settled_ledger(STREAMS[kind])
        return counts["stored"] + counts["lost"]
    lines = server.request("GET", "/metrics")[1].decode().split("\n")
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(CALLS))


def _call(stand, kind):
    return stand.load(kind, seconds=stand.pick(0.5, 0.25), cpu=0)


def _pair(stand, kind, attach, detach, attached_first):
    """(ratio of one call with observer to one without, ns of the latter); detached at the end as
    at the beginning."""
    def observed():
        attach()
        made = _call(stand, kind)
        detach(made["made"])
        return made

    if attached_first:
        on = observed()
        off = _call(stand, kind)
    else:
        off = _call(stand, kind)
        on = observed()
    return on["call_ns"] / off["call_ns"], off["call_ns"]


def _ours(stand, server, names, kind):
    seen = {}

    def attach():
        server.switch(names, True)
        seen["before"] = _counted(server, kind)

    def detach(made):
        counted = _counted(server, kind) - seen["before"]
        if counted < made:
            raise BenchError(f"of {made} calls of {kind} only {counted} were observed")
        server.switch(names, False)

    stand.load(kind, seconds=0.3, cpu=0)
    pairs = [_pair(stand, kind, attach, detach, number % 2)
             for number in range(stand.pick(20, 4))]
    return Figure([ratio for ratio, _ in pairs],
                  detail={"call_ns": statistics.median(off for _, off in pairs)})


def _peer(stand, name, kind):
    ratios = []
    for number in range(stand.pick(6, 1)):
        with contextlib.ExitStack() as attached:
            def attach():
                peer = attached.enter_context(peers.running(stand, name))
                # Callbacks run last in, first out: asked while it is still there.
                attached.callback(peer.confirm)
            try:
                ratios.append(_pair(stand, kind, attach, lambda _: attached.close(), number % 2)[0])
            except peers.Absent:
                # What it seemed to cost before may be no better.
                return []
    return ratios


def _all_programs(server):
    """Those that run once all were switched on; switched off again."""
    known = sorted(item["name"] for item in server.api("/api/programs")["programs"])
    for name in known:
        server.request("POST", f"/api/programs/{name}/enable")
    running = sorted(server.programs())
    server.switch(known, False)
    return running


def _read_latency(stand):
    with daemon(stand, "--programs", "syscalls", "--set", "syscalls.latency=true") as server:
        server.switch(["syscalls"], False)
        stand.figures["slowdown.read_latency"] = _ours(stand, server, ["syscalls"], "read-file")


def _reads(stand):
    """The program that counts reads, alone."""
    with daemon(stand, "--programs", "syscalls") as server:
        server.switch(["syscalls"], False)
        file = _ours(stand, server, ["syscalls"], "read-file")
        zero = _ours(stand, server, ["syscalls"], "read-zero")
    if not stand.quick:
        _read_latency(stand)
    # A quick run has time for one load and its peers.
    for figure, kind in ((file, "read-file"), (zero, "read-zero"))[:stand.pick(2, 1)]:
        for name in ("bpftrace-read", "reference-hook"):
            figure.peers[name] = _peer(stand, name, kind)
    stand.figures["slowdown.read"] = file
    stand.figures["slowdown.read_zero"] = zero
    if file.peers["bpftrace-read"]:
        added = statistics.median(file.peers["bpftrace-read"]) - 1
        stand.figures["slowdown.read_share"] = Figure(
            [100 * (ratio - 1) / added for ratio in file.samples])


def run(stand):
    with daemon(stand) as server:
        names = sorted(server.programs())
        everything = _all_programs(server)
        connects = _ours(stand, server, names, "connect-close")
        drops = _ours(stand, server, names, "udp-closed")
        stand.figures["slowdown.connect_close_all"] = _ours(stand, server, everything,
                                                            "connect-close")
    for name in ("bpftrace", "tcpstates", "tcpstates-bpfcc", "reference"):
        connects.peers[name] = _peer(stand, name, "connect-close")
    for name in ("bpftrace-drop", "reference-drop"):
        drops.peers[name] = _peer(stand, name, "udp-closed")
    stand.figures["slowdown.connect_close"] = connects
    stand.figures["slowdown.drop"] = drops
    _reads(stand)
