"""Index entries as arrays: compact, checked, and read back as they were."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from strategies import cassettes

from gp_replay.core.entries import checked_entries, read_entry, write_entry
from gp_replay.core.index import MemoryCassette
from gp_replay.core.records import Limits, Plain

GOOD: list[Plain] = [1, 0, "llm", None, b"GET", b"/", 200, 5, 9, True, 0, 12, b"k", [10, 30, 7]]


@given(cassettes())
def test_an_entry_reads_back_as_it_was_written(tape: MemoryCassette) -> None:
    for held in tape.footer.entries:
        # In memory an offset is a number of events; in a file nothing stands before the preamble's end.
        entry = replace(held, offsets=tuple(offset + 10 for offset in held.offsets))
        assert read_entry(write_entry(entry)) == entry


def test_offsets_are_distances() -> None:
    entry = read_entry(GOOD)
    assert entry.offsets == (10, 40, 47)
    assert entry.events == 3
    assert write_entry(entry) == GOOD
    assert read_entry([*GOOD, "of a later version"]) == entry


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 0), (0, True), (0, "1"), (1, 2), (2, b"llm"), (3, 5), (4, "GET"), (6, 1000), (7, -1), (8, 4), (9, 1),
        (10, -1), (11, 2.0), (12, b"k" * 65), (13, []), (13, [10, 0]), (13, [10, -1]), (13, 5),
    ],
)  # fmt: skip
def test_a_value_the_format_does_not_have_is_refused(place: int, value: Plain) -> None:
    values = [*GOOD]
    values[place] = value
    with pytest.raises(ValueError, match=r"."):
        read_entry(values)


def test_an_index_is_bounded_and_in_order() -> None:
    entry = read_entry(GOOD)
    assert checked_entries((entry,), footer_offset=100, limits=Limits()) == (entry,)
    for entries, offset, limits in (
        ((entry, entry), 100, Limits()),
        ((entry,), 40, Limits()),
        ((entry,), 100, Limits(max_streams=0)),
        ((entry,), 100, Limits(max_records=2)),
    ):
        with pytest.raises(ValueError, match=r"."):
            checked_entries(entries, footer_offset=offset, limits=limits)
