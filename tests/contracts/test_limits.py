"""Limits in time, on offsets."""

from __future__ import annotations

from gp_replay.contracts.contract import Contract, Limit
from gp_replay.contracts.findings import Level, Notes
from gp_replay.contracts.limits import OPENED, RUN, Limits
from gp_replay.contracts.said import Said, What
from gp_replay.core.model import Side

S = 1_000_000


def at(seconds: float) -> Said:
    return Said(what=What.MESSAGE, connection=1, index=0, at_us=int(seconds * S), side=Side.SERVER)


def contract(*limits: Limit) -> Contract:
    return Contract(name="c", limits=limits)


CONNECT = Limit(name="connect", start=OPENED, end="hello", max_us=2 * S, level=Level.WARNING)
FIRST = Limit(name="first", start="ask", end=RUN, max_us=5 * S)
GAP = Limit(name="gap", start=RUN, end=RUN, max_us=15 * S)
WHOLE = Limit(name="run", start="", end=RUN, max_us=60 * S)


def test_a_span_is_late_only_beyond_its_limit() -> None:
    for took, late in ((2.0, []), (2.001, ["limit.connect"])):
        notes, limits = Notes(""), Limits(contract(CONNECT), timed=True)
        limits.hear(OPENED, at(1), notes)
        limits.hear("hello", at(1 + took), notes)
        found = notes.take()
        assert [finding.rule for finding in found] == late
        assert all(finding.level is Level.WARNING for finding in found)


def test_requests_in_a_queue_are_timed_from_when_they_could_begin() -> None:
    notes, limits = Notes(""), Limits(contract(FIRST), timed=True)
    limits.hear("ask", at(0), notes)
    limits.hear("ask", at(0), notes)
    limits.hear(RUN, at(1), notes)
    limits.hear(RUN, at(21), notes, not_before_us=20 * S)
    assert not len(notes)
    limits.hear("ask", at(30), notes)
    limits.hear(RUN, at(36), notes, not_before_us=20 * S)
    assert notes.take()[0].came == "after 6.000 s"


def test_gaps_and_whole_runs_have_limits_of_their_own() -> None:
    notes, limits = Notes(""), Limits(contract(GAP, WHOLE), timed=True)
    limits.between(0, at(15), notes)
    assert not limits.whole(0, at(60), notes)
    assert not len(notes)
    limits.between(0, at(16), notes)
    assert limits.whole(0, at(61), notes)
    assert [finding.rule for finding in notes.take()] == ["limit.gap", "limit.run"]


def test_nothing_is_late_where_offsets_say_nothing() -> None:
    notes, limits = Notes(""), Limits(contract(CONNECT, GAP, WHOLE), timed=False)
    limits.hear(OPENED, at(0), notes)
    limits.hear("hello", at(99), notes)
    limits.between(0, at(99), notes)
    limits.whole(0, at(99), notes)
    assert not len(notes)
