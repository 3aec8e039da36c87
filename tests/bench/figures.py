# SPDX-License-Identifier: MIT
"""What was measured: samples in, medians, spread and verdicts out."""
import dataclasses
import statistics

REACHED, MISSED, NOT_MEASURED, TOLD = "reached", "missed", "not measured", "-"
# Measured beside programs of others, which slow the unobserved side too: ratios come out too good.
DISTURBED = "disturbed"


def median(samples):
    return statistics.median(samples)


def quartiles(samples):
    """First and third quartile; of few samples the least and the greatest."""
    if len(samples) < 4:
        return min(samples), max(samples)
    cut = statistics.quantiles(samples, n=4, method="inclusive")
    return cut[0], cut[2]


@dataclasses.dataclass
class Figure:
    """Samples in the unit of the goal; those of peers by the peer's name."""
    samples: list
    peers: dict = dataclasses.field(default_factory=dict)
    detail: dict = dataclasses.field(default_factory=dict)
    others: tuple = ()  # programs of others that were loaded meanwhile


@dataclasses.dataclass
class Result:
    """A goal with its figure, as it is shown and written."""
    id: str
    text: str
    unit: str
    how: str
    limit: float | None
    better: str
    verdict: str
    reason: str = ""
    value: float | None = None
    spread: tuple | None = None
    samples: list = dataclasses.field(default_factory=list)
    # {name: {"value", "spread", "ratio", "samples"}} or {name: {"skipped": why}}
    peers: dict = dataclasses.field(default_factory=dict)
    detail: dict = dataclasses.field(default_factory=dict)


def verdict_of(goal, value):
    if goal.limit is None:
        return TOLD
    reached = value >= goal.limit if goal.better == ">=" else value <= goal.limit
    return REACHED if reached else MISSED


def _peer(samples, ours):
    value = median(samples)
    return {"value": value, "spread": quartiles(samples), "samples": samples,
            "ratio": ours / value if value else None}


def judge(goal, figures, absent, skipped_peers):
    """The Result of one goal. `absent`: {figure: why there is none}."""
    result = Result(goal.id, goal.text, goal.unit, goal.how, goal.limit, goal.better, NOT_MEASURED)
    figure = figures.get(goal.figure)
    if figure is None or not figure.samples:
        result.reason = absent.get(goal.figure) or goal.missing or "its part was not run"
        return result
    result.value = median(figure.samples)
    result.spread = quartiles(figure.samples)
    result.samples, result.detail = figure.samples, figure.detail
    result.verdict = verdict_of(goal, result.value)
    if figure.others and goal.limit is not None:
        result.verdict = DISTURBED
        result.reason = f"programs of others were loaded: {', '.join(figure.others)}"
    for name in goal.peers:
        if figure.peers.get(name):
            result.peers[name] = _peer(figure.peers[name], result.value)
        else:
            result.peers[name] = {"skipped": skipped_peers.get(name, "not run in this mode")}
    return result


def show(value, unit=""):
    """Three digits that count, thousands apart: 0.0123, 1.23, 12.3, 123, 1,234. Of ratios about 1
    the third digit behind the point tells too."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    size = abs(value)
    if unit == "×" and size < 10:
        return f"{value:.3f}"
    if size >= 100:
        return f"{value:,.0f}"
    for digits, least in ((1, 10), (2, 1), (3, 0.1), (4, 0.01)):
        if size >= least:
            return f"{value:.{digits}f}"
    return f"{value:.2g}"
