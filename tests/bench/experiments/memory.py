# SPDX-License-Identifier: MIT
"""4 and 5: what an event takes in memory, and how fast questions over a million are answered."""
import daemon as daemons
import stand as stands
from daemon import daemon
from figures import Figure

FILL = "bench-fill"
PORTS, HOSTS = 100, 10
FIRST_PORT = 2000
MILLION = 1_000_000
NOISE = 50_000

EVENTS, SUMMARY = "/api/events", "/api/events/summary"

# What is asked: figure, path, query. The two fields together match one event in PORTS.
QUESTIONS = (
    ("query.newest", EVENTS, "limit=100"),
    ("query.absent_pid", EVENTS, "pid=4294967294"),
    ("query.absent_command", EVENTS, "command=nobody-at-all"),
    ("query.two_fields", EVENTS, f"destination_port={FIRST_PORT + 7}&command={FILL}"),
    ("query.summary", SUMMARY, "by=command"),
    ("query.summary_two", SUMMARY, "by=command,destination_ip"),
    ("query.summary_numbers", SUMMARY, "by=command&of=duration_ns"),
)


def fill(stand, count, rate=200_000):
    """Connects of two threads to a hundred ports of ten hosts."""
    stand.load("connect", count=count // 2, threads=2, rate=rate, command=FILL, ports=PORTS,
               hosts=HOSTS, to=f"127.0.0.1:{FIRST_PORT}")


def grown(server, add):
    """(bytes, events) by which the server's resident memory and its store grow."""
    pid = server.pids[1]
    before, held = stands.resident(pid), server.settled_ledger()["held"]
    add()
    after = server.settled_ledger()["held"]
    return stands.resident(pid) - before, after - held


def ask(stand, path, question, count):
    """The load's word on so many of this question, 500 a second at most."""
    return stand.load("http", count=count, rate=500, to=daemons.ADDRESS,
                      path=f"{path}?type=connection&{question}")


def _questions(stand, server):
    count = stand.pick(400, 100)
    with stand.background("connect", rate=NOISE, seconds=100, command="bench-noise"):
        for figure, path, question in QUESTIONS:
            samples, detail = [], {"p99_ms": [], "server_ms": []}
            for _ in range(stand.pick(5, 2)):
                before = server.cpu_ns(daemons.is_http_thread)
                took = ask(stand, path, question, count)
                used = server.cpu_ns(daemons.is_http_thread) - before
                samples.append(took["median_ns"] / 1e6)
                detail["p99_ms"].append(took["p99_ns"] / 1e6)
                detail["server_ms"].append(used / took["made"] / 1e6)
            stand.figures[figure] = Figure(samples, detail=detail)


def _json(stand, server):
    """Events encoded in a second of user time."""
    path, rates, bytes_each = "/api/events?type=connection&limit=10000&format=ndjson", [], []
    for _ in range(stand.pick(4, 2)):
        before = server.user_ns(daemons.is_http_thread)
        made = stand.load("http", seconds=stand.pick(3, 1), to=daemons.ADDRESS, path=path)
        used = server.user_ns(daemons.is_http_thread) - before
        rates.append(made["made"] * 10_000 / used * 1e3 if used else 0)
        bytes_each.append(made["bytes"] / made["made"] / 10_000)
    stand.figures["api.json"] = Figure(rates, detail={"bytes_an_event": bytes_each})


def run(stand):
    with daemon(stand, "--no-history", "--memory", "256MiB") as server:
        # The first blocks are open ones, and their rows stay mapped: they are no growth.
        fill(stand, 300_000)
        grew, events = grown(server, lambda: fill(stand, MILLION))
        stand.figures["memory.event"] = Figure([grew / events], detail={"events": events})
        _json(stand, server)
        _questions(stand, server)
    with daemon(stand, "--no-history", "--memory", "256MiB") as server:
        fill(stand, 50_000)
        churn = stand.pick(300_000, 60_000)
        grew, events = grown(server, lambda: stand.load("churn", count=churn // 2, threads=2))
        stand.figures["memory.event_churn"] = Figure([grew / events], detail={"events": events})
