# SPDX-License-Identifier: MIT
"""3: how much slower the observed program becomes."""
import contextlib
import statistics

import peers
from daemon import daemon
from figures import Figure
from stand import BenchError


# What each load must show in our own ledger while programs are enabled.
STREAMS = {"connect-close": "connection", "udp-closed": "packet_drop"}


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
        seen["stored"] = server.settled_ledger(STREAMS[kind])["stored"]

    def detach(made):
        counts = server.settled_ledger(STREAMS[kind])
        if counts["stored"] + counts["lost"] - seen["stored"] < made:
            raise BenchError(f"of {made} calls of {kind} not all were observed: {counts}")
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


def run(stand):
    with daemon(stand) as server:
        names = sorted(server.programs())
        server.switch(names, False)
        connects = _ours(stand, server, names, "connect-close")
        drops = _ours(stand, server, names, "udp-closed")
    for name in ("bpftrace", "tcpstates", "tcpstates-bpfcc", "reference"):
        connects.peers[name] = _peer(stand, name, "connect-close")
    for name in ("bpftrace-drop", "reference-drop"):
        drops.peers[name] = _peer(stand, name, "udp-closed")
    stand.figures["slowdown.connect_close"] = connects
    stand.figures["slowdown.drop"] = drops
