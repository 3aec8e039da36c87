# SPDX-License-Identifier: MIT
"""How figures grow: with the events in memory, and with their rate. Full runs only."""
import stand as stands
from daemon import daemon
from experiments.memory import QUESTIONS, ask, fill
from experiments.cpu import an_event

COUNTS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
RATES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
ONE_THREAD = 300_000      # what one thread can make while it is observed
FILL_RATE = 400_000       # of each of two threads
BYTES_EACH = 64           # at most, by goal 4
SPARE = 1.5


def _free_bytes():
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def _stored(stand):
    """Questions and memory against the events stored."""
    counts = [count for count in COUNTS if count * BYTES_EACH * SPARE * 2 < _free_bytes()]
    memory = int(max(64 << 20, counts[-1] * BYTES_EACH * SPARE))
    queries = {figure: [] for figure, _, _ in QUESTIONS}
    resident = []
    with daemon(stand, "--memory", str(memory)) as server:
        empty = stands.resident(server.pids[1])
        have = 0
        for count in counts:
            fill(stand, count - have, FILL_RATE)
            have = server.settled_ledger()["held"]
            resident.append((have, (stands.resident(server.pids[1]) - empty) / 2**20))
            for figure, path, question in QUESTIONS:
                queries[figure].append((have, ask(stand, path, question, 60)["median_ns"] / 1e6))
    stand.curves["queries"] = queries
    stand.curves["memory"] = resident


def _rates(stand):
    """What draining an event costs against the rate."""
    costs = []
    for rate in RATES:
        with daemon(stand) as server:
            cost, made = an_event(stand, server.pids, rate, 3, 2 if rate > ONE_THREAD else 1)
            costs.append((made, cost))
    stand.curves["drain"] = costs


def run(stand):
    _rates(stand)
    _stored(stand)
