# SPDX-License-Identifier: MIT
"""The results as one table: on the terminal, and in Markdown."""
import itertools

from figures import DISTURBED, MISSED, NOT_MEASURED, REACHED, show

HEADS = ("", "figure", "limit", "ours", "spread", "peer", "ratio", "verdict")
WIDTH_OF_TEXT, WIDTH_OF_VERDICT = 46, 44


def limit_of(result):
    if result.limit is None:
        return ""
    sign = "≥" if result.better == ">=" else "≤"
    return f"{sign} {show(result.limit, result.unit)} {result.unit}"


def peers_of(result):
    """[(text, ratio)]: a peer a line; those that could not run say why."""
    lines = []
    for name, peer in result.peers.items():
        if "skipped" in peer:
            lines.append((f"{name}: skipped", ""))
        else:
            ratio = peer["ratio"]
            lines.append((f"{name} {show(peer['value'], result.unit)}",
                          "" if ratio is None else f"{ratio:.2f}"))
    return lines


def verdict_of(result):
    return f"{result.verdict}: {result.reason}" if result.reason else result.verdict


def rows(results):
    for result in results:
        spread = ""
        if result.spread and len(result.samples) > 1:
            spread = f"{show(result.spread[0], result.unit)}–{show(result.spread[1], result.unit)}"
        value = "" if result.value is None else f"{show(result.value, result.unit)} {result.unit}"
        lines = peers_of(result) if result.value is not None else []
        first = lines[0] if lines else ("", "")
        yield (result.id, result.text, limit_of(result), value, spread, *first,
               verdict_of(result))
        for line in lines[1:]:
            yield ("", "", "", "", "", *line, "")


def _fold(text, width):
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def terminal(results):
    body = []
    for row in rows(results):
        texts, verdicts = _fold(row[1], WIDTH_OF_TEXT), _fold(row[-1], WIDTH_OF_VERDICT)
        body.append((row[0], texts[0], *row[2:-1], verdicts[0]))
        body += [("", text, *[""] * (len(HEADS) - 3), verdict)
                 for text, verdict in itertools.zip_longest(texts[1:], verdicts[1:], fillvalue="")]
    widths = [max(len(row[i]) for row in (HEADS, *body)) for i in range(len(HEADS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
             for row in (HEADS, tuple("─" * width for width in widths), *body)]
    return "\n".join(lines)


def markdown(results):
    lines = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
              for row in rows(results)]
    return "\n".join(lines)


def summary(results):
    counts = {verdict: sum(result.verdict == verdict for result in results)
              for verdict in (REACHED, MISSED, DISTURBED, NOT_MEASURED)}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items()
                     if count or verdict != DISTURBED)
