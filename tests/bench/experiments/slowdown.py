# SPDX-License-Identifier: MIT
"""3: how much slower the observed program becomes."""
import contextlib
import statistics

import peers
from daemon import daemon
from figures import Figure


def _call_ns(stand, kind):
    return stand.load(kind, seconds=stand.pick(0.5, 0.25), cpu=0)["call_ns"]


def _pair(stand, kind, attach, detach, attached_first):
    """(ratio of one call with observer to one without, ns of the latter); detached at the end as
    at the beginning."""
    if attached_first:
        attach()
        on = _call_ns(stand, kind)
        detach()
        off = _call_ns(stand, kind)
    else:
        off = _call_ns(stand, kind)
        attach()
        on = _call_ns(stand, kind)
        detach()
    return on / off, off


def _ours(stand, server, names, kind):
    stand.load(kind, seconds=0.3, cpu=0)
    pairs = [_pair(stand, kind, lambda: server.switch(names, True),
                   lambda: server.switch(names, False), number % 2)
             for number in range(stand.pick(20, 6))]
    return Figure([ratio for ratio, _ in pairs],
                  detail={"call_ns": statistics.median(off for _, off in pairs)})


def _peer(stand, name, kind):
    ratios = []
    for number in range(stand.pick(6, 1)):
        with contextlib.ExitStack() as attached:
            def attach():
                attached.enter_context(peers.running(stand, name))
            try:
                ratios.append(_pair(stand, kind, attach, attached.close, number % 2)[0])
            except peers.Absent:
                break
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
