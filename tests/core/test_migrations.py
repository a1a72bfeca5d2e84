"""The mechanism of migrations, proved with a made-up history."""

from __future__ import annotations

import pytest

from gp_replay.core.migrations import MIGRATIONS, Part, migrate
from gp_replay.core.records import FORMAT_VERSION, Plain


def to_two(part: Part, record: list[Plain]) -> list[Plain]:
    """Version 2 gave events milliseconds where version 1 had seconds."""
    if part is Part.EVENT:
        seconds = record[2]
        assert isinstance(seconds, int)
        record[2] = seconds * 1000
    return record


def to_three(part: Part, record: list[Plain]) -> list[Plain]:
    """Version 3 called kind 4 kind 40."""
    return [40, *record[1:]] if part is Part.EVENT and record[0] == 4 else record


TABLE = {1: to_two, 2: to_three}


def test_there_is_a_step_for_every_version_below_todays() -> None:
    assert sorted(MIGRATIONS) == list(range(1, FORMAT_VERSION))


def test_steps_are_taken_one_after_the_other() -> None:
    assert migrate(1, Part.EVENT, [4, 1, 5, 0], to=3, table=TABLE) == [40, 1, 5000, 0]
    assert migrate(2, Part.EVENT, [4, 1, 5, 0], to=3, table=TABLE) == [40, 1, 5, 0]
    assert migrate(1, Part.HEADER, [0, "name"], to=3, table=TABLE) == [0, "name"]


def test_todays_record_is_left_alone() -> None:
    record: list[Plain] = [4, 1, 5, 0]
    assert migrate(3, Part.EVENT, record, to=3, table=TABLE) is record


def test_a_missing_step_and_a_record_it_cannot_turn_are_named() -> None:
    with pytest.raises(ValueError, match="no migration from format 2 to 3"):
        migrate(1, Part.EVENT, [4, 1, 5, 0], to=3, table={1: to_two})
    with pytest.raises(ValueError, match="it is none of format 1"):
        migrate(1, Part.EVENT, [4], to=3, table=TABLE)
    with pytest.raises(ValueError, match="cannot be migrated"):
        migrate(4, Part.EVENT, [4], to=3, table=TABLE)
