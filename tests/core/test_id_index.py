"""Recordings by the ids in their requests, read once and only as far as need be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.id_index import IdIndex

IDS = [("a", "x1"), ("a", "x2"), ("b", "x3"), ("a", "b")]


def test_only_what_is_needed_is_read_and_each_once() -> None:
    read: list[int] = []

    def ids_of(number: int) -> tuple[str, ...]:
        read.append(number)
        return IDS[number]

    index = IdIndex(range(4), ids_of)
    assert next(index.having(["b"])) == 2
    assert read == [0, 1, 2]
    assert next(index.having(["a"])) == 0
    assert read == [0, 1, 2]
    assert list(index.having(["a"])) == [0, 1, 3]
    assert list(index.having(["a", "b"])) == [3]
    assert read == [0, 1, 2, 3]
    assert list(index.having(["nobody"])) == []


@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=4), max_size=12),
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3), max_size=6),
)
def test_it_finds_what_looking_through_all_would(recordings: list[list[str]], asked: list[list[str]]) -> None:
    index = IdIndex(range(len(recordings)), lambda number: recordings[number])
    for known in asked:
        expected = [number for number, ids in enumerate(recordings) if set(known) <= set(ids)]
        assert list(index.having(known)) == expected
