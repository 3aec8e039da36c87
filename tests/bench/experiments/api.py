# SPDX-License-Identifier: MIT
"""6: what a request costs, against the least it can cost on the same library."""
import daemon as daemons
import peers
import stand as stands
from daemon import daemon
from figures import Figure

HELLO = "127.0.0.1:8090"


def _a_request(stand, pids, address, path):
    """µs of processor time for each request."""
    before = stands.cpu_ns(pids)
    made = stand.load("http", seconds=stand.pick(1, 0.5), to=address, path=path)
    return (stands.cpu_ns(pids) - before) / made["made"] / 1e3


def run(stand):
    ours, hello = [], []
    # No programs: a request alone, without the events that it makes itself.
    with daemon(stand, "--programs", "none") as server, peers.running(stand, "hello") as peer:
        for number in range(stand.pick(10, 3)):
            turns = [lambda: ours.append(
                         _a_request(stand, server.pids, daemons.ADDRESS, "/health")),
                     lambda: hello.append(_a_request(stand, peer.pids, HELLO, "/"))]
            for turn in turns if number % 2 else reversed(turns):
                turn()
        peer.confirm()
    stand.figures["api.health"] = Figure(
        [one / other for one, other in zip(ours, hello)],
        detail={"microseconds": {"ours": ours, "hello": hello}})
