# SPDX-License-Identifier: MIT
"""What would happen past the machine that was measured: reckoned from its figures, nothing else."""
from figures import show

CORES = 64
LINE_BITS = 10e9
# A TCP connection that carries nothing: SYN, ACK, FIN, ACK each way at least, in frames of the
# smallest size with preamble and gap (IEEE 802.3: 64 + 8 + 12 bytes).
FRAMES_EACH_WAY, FRAME_BYTES = 4, 84
HOSTS = 10_000
RATE_OF_A_HOST = 20_000
DEFAULT_MEMORY = 64 << 20


def _value(document, name):
    for item in document["results"]:
        if item["id"] == name and item["value"] is not None:
            return item
    return None


def _sixty_four_cores(drain_ns, storm):
    rates = storm["detail"]["events_per_second"]
    one = max(rates["ours"])
    return (
        f"On {CORES} cores a storm on all of them, at the {one / 1e6:.2f} M connects/s that one "
        f"core made here while it was observed, would be {CORES * one / 1e6:,.0f} M events/s. "
        f"The one "
        f"reader thread needs {show(drain_ns)} ns an event at high rates, so it takes "
        f"{1e3 / drain_ns:,.1f} M/s; and all cores reserve their records under the one lock of the "
        "stream's ring, which slows them before that. What goes past is lost and counted, not "
        "waited for. Rings for groups of cores, each with a reader, are what lifts both limits.")


def _ten_gigabit(drain_ns, slowdown):
    call_ns = slowdown["detail"]["call_ns"]
    line = LINE_BITS / 8 / FRAME_BYTES / FRAMES_EACH_WAY
    made = CORES * 1e9 / call_ns
    able = min(line, made)
    return (
        f"10 Gbit/s of nothing but new connections are at most {line / 1e6:.1f} M connections/s "
        "by the frames they take. A connection that is opened and closed takes "
        f"{call_ns / 1e3:,.0f} µs of one core here, both ends together, so {CORES} cores would "
        f"make {made / 1e6:.1f} M/s: {'the network stack' if made < line else 'the line'} is "
        f"the limit, and {able / 1e6:.1f} M events/s cost the reader "
        f"{able * drain_ns / 1e9:.0%} of a core.")


def _ten_thousand_hosts(memory, newest):
    bytes_each = memory["value"]
    stream = HOSTS * RATE_OF_A_HOST
    kept = DEFAULT_MEMORY / bytes_each
    return (
        f"{HOSTS:,} hosts at {RATE_OF_A_HOST:,} events/s each are {stream / 1e6:,.0f} M events/s, "
        f"{stream * bytes_each / 1e9:,.1f} GB/s even in sealed blocks of {show(bytes_each)} B an "
        f"event: they stay where they happen. The default memory of a host holds the last "
        f"{kept / RATE_OF_A_HOST:,.0f} s of such a rate ({kept / 1e6:.1f} M events), a question "
        f"takes {show(newest['value'])} ms there, so asking all of them costs "
        f"{HOSTS * newest['value'] / 1e3:,.0f} s of processor time spread over {HOSTS:,} machines, "
        "and what travels is the answers.")


def horizon(document):
    curve = document["curves"].get("drain") or []
    drain_ns = curve[-1][1] if curve else (_value(document, "2.3") or {}).get("value")
    storm, slowdown = _value(document, "1.2"), _value(document, "3.1")
    memory, newest = _value(document, "4.2"), _value(document, "5.1")
    parts = []
    if drain_ns and storm:
        parts.append(_sixty_four_cores(drain_ns, storm))
    if drain_ns and slowdown:
        parts.append(_ten_gigabit(drain_ns, slowdown))
    if memory and newest:
        parts.append(_ten_thousand_hosts(memory, newest))
    return " ".join(parts) or "This run measured too little to say."
