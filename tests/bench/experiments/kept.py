# SPDX-License-Identifier: MIT
"""1: how much of a storm is kept, and whether the ledger explains the rest."""
import contextlib
import json

import peers
from daemon import daemon
from figures import Figure
from stand import BenchError, end

RATE = 1_000_000
COMMAND = "bench-storm"
# A load that makes less than this part of what was asked needs another thread.
ENOUGH = 0.98
# Others on this machine connect too: they count as filtered, and the sums are exact.
OPTIONS = ("--programs", "connection", "--set", f"connection.only_command={COMMAND}")


def _observed(server, make):
    """(what the load made, stored, lost, unexplained) of one load."""
    before = server.settled_ledger()
    made = make()
    after = server.settled_ledger()
    grown = {name: after[name] - before[name] for name in after}
    unexplained = abs(made["made"] - grown["stored"] - grown["lost"])
    unexplained += abs(after["produced"] - after["stored"] - after["filtered"] -
                       after["sampled_out"] - after["lost"])
    unexplained += abs(after["stored"] - after["held"] - after["expired"])
    return made, grown["stored"], grown["lost"], unexplained


def _threads(stand, rate):
    """How many threads this machine needs to make the rate while it is observed."""
    made = stand.load("connect", seconds=0.5, rate=rate, command=COMMAND)
    return 1 if made["made"] >= ENOUGH * rate * 0.5 else 2


def _paced(stand, seconds):
    alone = stand.load("connect", seconds=0.5, threads=2, command=COMMAND)
    with daemon(stand, *OPTIONS) as server:
        threads = _threads(stand, RATE)
        made, stored, lost, unexplained = _observed(server, lambda: stand.load(
            "connect", seconds=seconds, rate=RATE / threads, threads=threads, command=COMMAND))
    rate = made["made"] / made["nanoseconds"] * 1e9
    if rate < ENOUGH * RATE:
        stand.absent["kept.paced"] = (
            f"observed, {threads} threads make {rate:,.0f} connects/s "
            f"({alone['made'] / alone['nanoseconds'] * 1e9:,.0f} unobserved); of those "
            f"{100 * stored / made['made']:.6g} % were kept")
        return None, unexplained
    figure = Figure([100 * stored / made["made"]],
                    detail={"made": made["made"], "lost": lost, "rate": rate, "threads": threads})
    stand.figures["kept.paced"] = figure
    return figure, unexplained


def _paced_peer(stand, figure, seconds):
    with contextlib.suppress(peers.Absent), peers.running(stand, "bpftrace") as peer:
        before = peer.lost()
        made = stand.load("connect", seconds=seconds, rate=RATE / figure.detail["threads"],
                          threads=figure.detail["threads"], command=COMMAND)
        peer.confirm()
        # It tells its losses when it comes to them, the last ones at its end.
        end(peer.process)
        figure.peers["bpftrace"] = [100 * (1 - min(1, (peer.lost() - before) / made["made"]))]


def _consumed(stand, name, seconds):
    """Events a second that a bare consumer counts of a storm."""
    with peers.running(stand, name) as peer:
        made = stand.load("connect", seconds=seconds, cpu=0, command=COMMAND)
        peer.confirm()
        end(peer.process)
        counted = json.loads(peer.output.read_text().strip("\0").splitlines()[-1])["counted"]
    if counted == 0:
        raise BenchError(f"{name} counted nothing of {made['made']} connects")
    # Connects of others are in its count, and not in ours.
    return min(counted, made["made"]) / made["nanoseconds"] * 1e9


def run(stand):
    seconds = stand.pick(10, 2)
    figure, unexplained = _paced(stand, seconds)
    if figure:
        _paced_peer(stand, figure, stand.pick(5, 2))

    storm, same, lost_events, unexplained_events = [], [], [], [unexplained]
    unobserved = []
    rates = {"ours": [], "reference": [], "reference-same": []}
    for _ in range(stand.pick(5, 2)):
        length = stand.pick(2, 0.8)
        unobserved.append(stand.load("connect", seconds=0.2, cpu=0)["call_ns"])
        rates["reference"].append(_consumed(stand, "reference", length))
        with daemon(stand, *OPTIONS) as server:
            made, stored, lost, unexplained = _observed(server, lambda: stand.load(
                "connect", seconds=length, cpu=0, command=COMMAND))
        rates["ours"].append(stored / made["nanoseconds"] * 1e9)
        rates["reference-same"].append(_consumed(stand, "reference-same", length))
        storm.append(100 * rates["ours"][-1] / rates["reference"][-1])
        same.append(100 * rates["ours"][-1] / rates["reference-same"][-1])
        lost_events.append(lost)
        unexplained_events.append(unexplained)
    stand.figures["kept.storm"] = Figure(storm, detail={
        "events_per_second": rates, "unobserved_call_ns": unobserved})
    stand.figures["kept.storm_same"] = Figure(same)
    # The worst storm counts, not the median one.
    stand.figures["kept.storm_lost"] = Figure([max(lost_events)], detail={"each": lost_events})
    stand.figures["kept.unexplained"] = Figure([max(unexplained_events)],
                                               detail={"each": unexplained_events})
