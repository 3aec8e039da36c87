# SPDX-License-Identifier: MIT
"""What is to be reached: one row a figure. Terminal, JSON and docs/performance.md walk this table.

A row whose `figure` no experiment produces is "not measured", with the reason that the experiment
or the row itself (`missing`) gives: it never counts as reached.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Goal:
    id: str
    text: str
    figure: str                # by this name experiments hand in what they measured
    unit: str
    how: str                   # how it is measured, for docs/performance.md
    limit: float | None = None  # None: told for information, no verdict
    better: str = "<="         # or ">="
    peers: tuple = ()          # names of peers.py, measured on the same load in the same run
    missing: str = ""          # what this waits for


NO_SQL = "no SQL yet"

GOALS = (
    # 1: kept
    Goal("1.1", "connects kept at 1,000,000/s, default ring", "kept.paced", "%",
         "stored of what the load made, by the ledger; a second load thread where one cannot "
         "make them", 100, ">=", ("bpftrace",)),
    Goal("1.2", "storm without pause on one core: stored, against a bare consumer's count",
         "kept.storm", "%",
         "pairs of storms on one processor: events stored a second, by that which a consumer "
         "counts that does nothing else, with the least possible eBPF program", 65, ">="),
    Goal("1.3", "lost in that storm", "kept.storm_lost", "events", "the ledger", 0),
    Goal("1.4", "events of these storms that the ledger does not explain", "kept.unexplained",
         "events", "calls the load counted, less stored and lost; and the ledger's own sums", 0),
    Goal("1.5", "the same storm, against a bare consumer of the same program",
         "kept.storm_same", "%",
         "as 1.2, but the consumer loads connection.bpf.o: what the server's own half costs"),
    # 2: user CPU
    Goal("2.1", "CPU an event at 20,000/s", "cpu.20k", "ns",
         "processor time (user and system) of loader and server, by the events of the load", 500,
         peers=("bpftrace",)),
    Goal("2.2", "the same, times less than bpftrace", "cpu.20k_less", "×",
         "bpftrace's processor time an event, by ours, pair by pair", 15, ">="),
    Goal("2.3", "CPU an event at 100,000/s", "cpu.100k", "ns", "as 2.1", 200),
    Goal("2.4", "CPU an event that history adds, at 20,000/s", "cpu.history", "ns",
         "processor time of the one thread that history has, by the events of the load; on a "
         "real disk", 150),
    Goal("2.4b", "the same at 100,000/s", "cpu.history_fast", "ns", "as 2.4", 150),
    Goal("2.5", "idle, default programs", "cpu.idle", "% of a core",
         "processor time of loader and server over seconds in which no event of the load's comes",
         0.1),
    # 3: slowdown
    Goal("3.1", "connect and close over loopback, default programs", "slowdown.connect_close", "×",
         "time of a call with programs enabled by time with them disabled, in turns; the server "
         "runs all the time; one processor; the slowest tenth of the batches left out", 1.08,
         peers=("bpftrace", "tcpstates", "tcpstates-bpfcc", "reference")),
    Goal("3.2", "the same, all programs", "slowdown.connect_close_all", "×",
         "as 3.1, with every program that runs here, those that are off by default included",
         1.15),
    Goal("3.3", "datagrams to a closed port (drops)", "slowdown.drop", "×", "as 3.1", 1.05,
         peers=("bpftrace-drop", "reference-drop")),
    Goal("3.4", "read() of one byte of a file in memory, counting", "slowdown.read", "×",
         "as 3.1, with the program syscalls as it is when it is switched on", 1.5,
         peers=("bpftrace-read", "reference-hook")),
    Goal("3.4a", "the same of /dev/zero, the cheapest read there is", "slowdown.read_zero", "×",
         "as 3.4; reference-hook is an empty function at the same hook: less is not to be had",
         peers=("bpftrace-read", "reference-hook")),
    Goal("3.4b", "the same of the file, with latency", "slowdown.read_latency", "×",
         "as 3.4, with the parameter latency"),
    Goal("3.5", "3.4, part of what bpftrace @[pid] adds", "slowdown.read_share", "%",
         "what the program adds to a call, by the median of what bpftrace adds in the same run",
         60),
    Goal("3.6", "XDP on other packets, over a bare pass", "slowdown.xdp", "ns",
         "BPF_PROG_TEST_RUN of both over the same packets, in turns; of TCP, UDP and SCTP over "
         "IPv6, ARP and a VLAN's the worst", 20),
    Goal("3.7", "TCP over that interface: throughput less than with a bare pass",
         "slowdown.throughput", "%", "one connection over veth, the program and a bare pass in "
         "turns", 3),
    # 4: memory
    Goal("4.1", "memory an event of connection", "memory.event", "B",
         "growth of the server's resident memory over a million events to a hundred ports of "
         "ten hosts", 64),
    Goal("4.2", "the same, each event from another process", "memory.event_churn", "B",
         "as 4.1, over processes that live for one connect", 64),
    Goal("4.3", "idle server and loader, resident", "memory.idle", "MiB",
         "VmRSS of both added up, so what they share counts twice; rings counted", 24),
    # 5: questions
    Goal("5.1", "newest 100 of 1,000,000", "query.newest", "ms",
         "median time to the answer over a kept connection, while 50,000 events/s come in", 0.5),
    Goal("5.2", "absent pid", "query.absent_pid", "ms", "as 5.1", 1),
    Goal("5.3", "absent command", "query.absent_command", "ms", "as 5.1", 1),
    Goal("5.4", "two fields, 1 % of events match", "query.two_fields", "ms",
         "as 5.1; the events that match lie evenly among the others", 5),
    Goal("5.5", "summary by command over everything", "query.summary", "ms",
         "as 5.1; with counts over time in 60 parts", 15),
    Goal("5.6", "history of 10,000,000: newest 100 of a pid or command", "history.newest", "ms",
         "the slowest of these: a pid and a command that are there, and absent ones; each with "
         "its total_count; median over a kept connection; memory holds less than a tenth", 20),
    Goal("5.6b", "history: bytes of the file an event", "history.bytes", "B",
         "the file's size by the events in it"),
    Goal("5.7", "history of 10,000,000: group by command", "history.group", "ms",
         "median time to the answer of /api/events/summary?by=command without a window", 500),
    Goal("5.8", "the same through SQL", "history.sql", "ms", "", 2000, missing=NO_SQL),
    Goal("5.9", "summary by command and destination_ip", "query.summary_two", "ms", "as 5.5"),
    Goal("5.10", "summary by command, percentiles of duration_ns", "query.summary_numbers", "ms",
         "as 5.5"),
    # 6: API
    Goal("6.1", "CPU a request of /health, against hello world", "api.health", "×",
         "processor time a request over a kept connection, by that of reference/hello.c on the "
         "same library, pair by pair", 1.5),
    Goal("6.2", "events encoded as JSON a second and core", "api.json", "M/s",
         "user time of the server's HTTP threads over answers of 10,000 events as ndjson, the "
         "query included", 3, ">="),
    Goal("6.3", "memory of a live client", "live.client", "KiB",
         "growth of the server's resident memory by 450 clients that have had 1,000 events each",
         8),
    # 7: start, stop
    Goal("7.1", "start to first event, default programs", "start.first_event", "ms",
         "from exec to the answer that has a connection and a drop, asked for without pause, "
         "while a load makes both", 60, peers=("bpftrace",)),
    Goal("7.2", "stop", "start.stop", "ms", "from SIGTERM to the end of both processes", 200),
    # 8: live
    Goal("8.1", "event to live client", "live.latency", "ms",
         "median age of events when a client has read them, by their own time stamps; at 100 and "
         "at 20,000 events/s", 25),
    Goal("8.2", "50,000 events/s to 10 clients", "live.clients", "events/s",
         "what the slowest of them was given of a load of 50,000/s, a second", 50_000, ">="),
    # 9: its own observation
    Goal("9.1", "runs that the kernel measures unless asked", "stats.unasked", "runs",
         "run counts in /api/programs without --program-stats", 0),
    Goal("9.2", "connection: a run in the kernel", "stats.connection", "ns",
         "ns_per_run of /api/programs with --program-stats"),
    Goal("9.3", "packet_drop: a run in the kernel", "stats.packet_drop", "ns", "as 9.2"),
    # 10: size
    Goal("10.1", "server, stripped", "size.server", "MB", "strip bin/ebpf-server", 2),
)
