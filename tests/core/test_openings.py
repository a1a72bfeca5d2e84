"""When our client parts open their streams."""

from __future__ import annotations

from dialogue import CLIENT, ask, cassette

from gp_replay.core.explain import Recorded
from gp_replay.core.openings import Openings
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile

TAPE = cassette(
    ask(1, "GET", "/a", answer=[(10, "x")]),
    ask(2, "GET", "/b", answer=[(10, "x")], at=5),
    ask(3, "GET", "/c", answer=[(10, "x")], at=100),
)
SCRIPT = compile(TAPE, {"default": CLIENT}, Rules())
ALL = [Recorded(number=n, cassette="tape", script=SCRIPT, entry=entry) for n, entry in enumerate(SCRIPT.entries)]


def test_streams_that_overlapped_open_apart_and_a_later_one_waits_for_the_ends_before_it() -> None:
    openings = Openings(ALL, ALL)
    assert list(openings.ready()) == [(-1, 0), (-2, 5_000)]
    openings.ended(1)
    assert list(openings.ready()) == []
    openings.ended(0)
    assert list(openings.ready()) == [(-3, 85_000)]
    assert [item.entry.stream for item in openings.waiting.values()] == [1, 2, 3]


def test_streams_of_others_are_waited_for_too() -> None:
    openings = Openings(ALL, ALL[2:])
    assert list(openings.ready()) == []
    openings.ended(0)
    openings.ended(1)
    assert [live for live, _ in openings.ready()] == [-3]
