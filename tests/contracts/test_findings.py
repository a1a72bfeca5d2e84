"""What a contract has to say: where, and in what words."""

from __future__ import annotations

from gp_replay.contracts.findings import Level, Notes
from gp_replay.contracts.said import Said, What
from gp_replay.core.model import Side


def said(what: What = What.MESSAGE) -> Said:
    return Said(what=what, connection=3, index=7, at_us=1_500, side=Side.SERVER)


def test_a_finding_says_where_it_is() -> None:
    notes = Notes("a.gpr")
    notes.find(said(), "x.y", expected="one", came="two", fix="three", place="data.run_id", level=Level.WARNING)
    assert [finding.plain() for finding in notes.take()] == [
        {
            "rule": "x.y",
            "level": "warning",
            "cassette": "a.gpr",
            "connection": 3,
            "message": 7,
            "offset_us": 1_500,
            "place": "data.run_id",
            "expected": "one",
            "came": "two",
            "fix": "three",
        }
    ]
    assert notes.take() == []


def test_what_is_no_message_has_no_index() -> None:
    notes = Notes("a.gpr")
    notes.find(said(What.CLOSED), "x", expected="", came="", fix="")
    assert notes.take()[0].message is None


def test_what_is_not_taken_does_not_grow_without_end() -> None:
    notes = Notes("a.gpr")
    for _ in range(1_000):
        notes.find(said(), "x", expected="", came="", fix="")
    assert 0 < len(notes) < 1_000
