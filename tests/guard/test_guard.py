# SPDX-License-Identifier: MIT
"""Counts of instructions against tests/guard/baseline.json, which is kept by compiler and kernel.

Noise does not move a count. One that grew past its tolerance fails; one that shrank as much warns,
since the next growth would hide in the gap. `make guard-update` writes what is counted now.
"""
import warnings

import pytest

from guard import counts

UPDATE = "make guard-update"
GUARDS = {"paths": counts.Paths, "verifier": counts.Verifier}
_made = {}


def guard_of(kind):
    if kind not in _made:
        _made[kind] = GUARDS[kind]()
    return _made[kind]


def baseline_of(guard):
    return counts.baseline().get(guard.section, {}).get(guard.key)


def counted(guard):
    try:
        return guard.counts
    except counts.Unavailable as reason:
        pytest.skip(str(reason))


def pytest_generate_tests(metafunc):
    """One test a count, those that only the baseline knows included; a single one where this
    compiler or kernel has no baseline."""
    if "name" not in metafunc.fixturenames:
        return
    cases = []
    for kind in GUARDS:
        guard = guard_of(kind)
        known = baseline_of(guard)
        names = ["all"] if known is None else sorted({*guard.names, *known})
        cases += [pytest.param(kind, name, id=f"{kind}-{name}") for name in names]
    metafunc.parametrize("kind, name", cases)


def test_count(kind, name):
    guard = guard_of(kind)
    known = baseline_of(guard)
    measured = counted(guard)
    if known is None:
        listed = "; ".join(counts.text(guard, *item) for item in measured.items())
        pytest.skip(f"no baseline for {guard.key} ({UPDATE}): {listed}")
    if name not in measured:
        pytest.fail(f"the baseline has {name}, which is gone: {UPDATE}", pytrace=False)
    now = counts.text(guard, name, measured[name])
    if name not in known:
        pytest.skip(f"no baseline for it and {guard.key} ({UPDATE}): {now}")
    count, before = measured[name], known[name]
    if before is None and count is None:
        pytest.skip(f"{name} does not load on this kernel, as before")
    if before is None or count is None:
        pytest.fail(f"{now}; {UPDATE} if that is meant: before it was {before}", pytrace=False)
    if count > guard.limit(before):
        pytest.fail(f"{now}; {before:g} before: {count / before - 1:+.1%}", pytrace=False)
    if before > guard.limit(count):
        warnings.warn(f"{now}; {before:g} before: {UPDATE} keeps what was won")
