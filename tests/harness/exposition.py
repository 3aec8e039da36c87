# SPDX-License-Identifier: MIT
"""Metrics as Prometheus reads them: strictly, and by name."""
import dataclasses
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)", re.DOTALL)
ENDINGS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


@dataclasses.dataclass
class Family:
    """Samples by their labels: {frozenset of (name, value): number}, by the sample's name."""
    type: str
    help: str = ""
    unit: str = ""
    samples: dict = dataclasses.field(default_factory=dict)

    def of(self, name, **labels):
        """The sample of exactly these labels, or None."""
        wanted = frozenset((key, str(value)) for key, value in labels.items())
        return self.samples.get(name, {}).get(wanted)


def _labels(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, f"bad labels at {at}: {text!r}"
        assert match[1] not in labels, f"label twice: {text!r}"
        labels[match[1]] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], match[2])
        at = match.end()
    return frozenset(labels.items())


def parse(body, openmetrics=False):
    """{family: Family} of an answer's bytes; anything against the format is an AssertionError."""
    text = body.decode("utf-8")
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    if openmetrics:
        assert lines.pop() == "# EOF"
    families, current = {}, None
    for line in lines:
        head = re.fullmatch(rf"# (HELP|TYPE|UNIT) ({NAME}) (.*)", line, re.DOTALL)
        if head:
            if head[2] != current:
                assert head[2] not in families, f"a family in two places: {line!r}"
                current = head[2]
                families[current] = Family("")
            setattr(families[current], head[1].lower(), head[3])
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample and current, f"bad line: {line!r}"
        family = families[current]
        base = current if openmetrics or family.type != "counter" else \
            current.removesuffix("_total")
        assert sample[1] in [base + ending for ending in ENDINGS[family.type]], line
        samples = family.samples.setdefault(sample[1], {})
        labels = _labels(sample[2] or "")
        assert labels not in samples, f"a series twice: {line!r}"
        samples[labels] = float(sample[3])
    return families
