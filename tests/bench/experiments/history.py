# SPDX-License-Identifier: MIT
"""2.4 and 5.6: what keeping events on disk costs, and how fast questions over many are answered."""
import pathlib
import time

import daemon as daemons
from daemon import daemon
from experiments.cpu import an_event
from experiments.memory import FIRST_PORT, HOSTS, PORTS, ask
from figures import Figure

RATES = (("cpu.history", 20_000), ("cpu.history_fast", 100_000))
EVENTS = "/api/events"
MEMORY = "8MiB"  # a tenth of the events at most
FILL_RATE = 300_000  # of each of two threads
PARTS = 10  # no load takes long
# Two at a time, so that blocks hold more than one.
COMMANDS = ("bench-one", "bench-two")


def is_history(name):
    return name == "history"


def _persisted(server):
    """Events of all streams: a refused connect also makes a drop."""
    return sum(server.ledger(name).get("persisted", 0) for name in server.programs())


def _cost(stand):
    """Processor time of the thread that writes: nobody else does anything for it."""
    seconds, rounds = stand.pick(4, 1.5), stand.pick(5, 2)
    added = {figure: [] for figure, _ in RATES}
    for _ in range(rounds):
        with daemon(stand) as server:
            an_event(stand, server.pids, 20_000, 0.3)
            for figure, rate in RATES:
                before = server.cpu_ns(is_history)
                kept = _persisted(server)
                stand.load("connect", rate=rate, seconds=seconds)
                # Its last rows are written within the flush interval.
                time.sleep(1)
                added[figure].append((server.cpu_ns(is_history) - before) /
                                     (_persisted(server) - kept))
    for figure, samples in added.items():
        stand.figures[figure] = Figure(samples)


def _fill(stand, data, count):
    options = {"rate": FILL_RATE, "ports": PORTS, "hosts": HOSTS, "to": f"127.0.0.1:{FIRST_PORT}"}
    with daemon(stand, "--data-dir", data, "--history-size", "4GiB") as server:
        for _ in range(PARTS):
            each = count // PARTS // 2
            with stand.background("connect", count=each, command=COMMANDS[0], **options) as one:
                stand.load("connect", count=each, command=COMMANDS[1], **options)
                one.wait()
        return server.settled_ledger()["stored"]


def _questions(stand, server):
    newest = server.api("/api/events?type=connection&command=bench-one&limit=1")
    questions = ("pid=4294967294", "command=nobody-at-all", "command=bench-two",
                 f"pid={newest['events'][0]['pid']}")
    medians = {}
    for question in questions:
        ask(stand, EVENTS, question, 3)
        medians[question.partition("=")[0] + ("" if "bench" in question else " other")] = [
            ask(stand, EVENTS, question, stand.pick(100, 30))["median_ns"] / 1e6
            for _ in range(stand.pick(5, 2))]
        if "nobody" not in question and "429" not in question:
            assert server.api(f"/api/events?type=connection&{question}")["count"] == 100
    slowest = max(medians.values(), key=lambda samples: sorted(samples)[len(samples) // 2])
    detail = {name: sorted(samples)[len(samples) // 2] for name, samples in medians.items()}
    stand.figures["history.newest"] = Figure(slowest, detail=detail)
    groups = [stand.load("http", count=stand.pick(10, 5), rate=500, to=daemons.ADDRESS,
                         path="/api/events/summary?type=connection&by=command&buckets=0")
              ["median_ns"] / 1e6 for _ in range(stand.pick(5, 2))]
    stand.figures["history.group"] = Figure(groups)
    everything = server.api("/api/events?type=connection&limit=1")
    return everything["total_count"]


def run(stand):
    _cost(stand)
    count = stand.pick(10_000_000, 1_000_000)
    data = stand.data_folder()
    stored = _fill(stand, data, count)
    # Another server: nothing of it is in memory.
    with daemon(stand, "--data-dir", data, "--history-size", "4GiB", "--memory",
                MEMORY) as server:
        kept = _questions(stand, server)
        stand.figures["history.newest"].detail.update(events=kept, stored=stored)
        size = sum(path.stat().st_size for path in pathlib.Path(data).glob("history.db*"))
        stand.figures["history.bytes"] = Figure([size / kept], detail={"events": kept})
        assert daemons.PORT and kept >= stored * 0.99, f"{kept} of {stored} events were kept"
