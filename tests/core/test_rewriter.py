"""Pieces in, as many pieces out; edits by span; little withheld."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.rewriter import Edit, Rewriter, apply_edits


class Words:
    """Replaces every ``<…>`` by another text."""

    def __init__(self, new: bytes) -> None:
        self.new = new

    def find(self, text: bytes, *, start: int, final: bool) -> tuple[list[Edit], int]:
        found = re.compile(rb"<[a-z]*>").finditer(text, start)
        edits = [Edit(*match.span(), self.new) for match in found]
        opened = re.compile(rb"<[a-z]*\Z").search(text, start)
        if final and opened:
            return [*edits, Edit(opened.start(), len(text), b"!" * (len(text) - opened.start()))], len(text)
        return edits, opened.start() if opened else len(text)

    def suspects(self, text: bytes) -> bool:
        return True

    def rest(self, text: bytes, *, start: int) -> Edit | None:
        end = len(text) - len(text[start:].lstrip(b"abcdefghijklmnopqrstuvwxyz>"))
        return Edit(start, end, b"?" * (end - start)) if end > start else None


def split(text: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted(cut % (len(text) + 1) for cut in cuts)
    return [text[low:high] for low, high in zip([0, *places], [*places, len(text)], strict=True)]


@given(
    st.text("<>ab ", max_size=40).map(str.encode),
    st.lists(st.integers(0, 40), max_size=8),
    st.sampled_from([b"", b"x", b"longer than it was"]),
)
def test_split_anywhere_gives_the_same_text_in_as_many_pieces(text: bytes, cuts: list[int], new: bytes) -> None:
    rewriter = Rewriter(Words(new))
    pieces = split(text, cuts)
    out = [released for piece in pieces for released in rewriter.feed(piece)] + rewriter.finish()
    edits, _ = Words(new).find(text, start=0, final=True)
    assert b"".join(out) == apply_edits([text], edits)[0]
    assert len(out) == len(pieces)


def test_a_cut_edit_gives_each_piece_its_share_and_the_last_one_the_rest() -> None:
    assert apply_edits([b"x<a", b"b", b"c>y"], [Edit(1, 6, b"12345")]) == [b"x12", b"3", b"45y"]
    assert apply_edits([b"x<a", b"b", b"c>y"], [Edit(1, 6, b"12345678")]) == [b"x12", b"3", b"45678y"]
    assert apply_edits([b"x<a", b"b", b"c>y"], [Edit(1, 6, b"1")]) == [b"x1", b"", b"y"]


def test_only_an_open_tail_is_withheld_and_pieces_stay_in_order() -> None:
    rewriter = Rewriter(Words(b"#"))
    assert rewriter.feed(b"hello ") == [b"hello "]
    assert rewriter.feed(b"a <b") == []
    assert rewriter.feed(b"") == []
    assert rewriter.withholds
    assert rewriter.feed(b"> c") == [b"a #", b"", b" c"]
    assert not rewriter.withholds


def test_what_is_too_long_to_withhold_is_changed_to_its_end() -> None:
    rewriter = Rewriter(Words(b"#"), max_withheld=8)
    out = [released for piece in (b"a <bcdef", b"gh", b"ij", b"kl> <m", b"> z") for released in rewriter.feed(piece)]
    assert out == [b"a !!!!!!", b"!!", b"!!", b"??? #", b" z"]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_no_more_is_withheld_than_allowed(size: int) -> None:
    rewriter = Rewriter(Words(b"#"), max_withheld=64)
    held = 1 - len(rewriter.feed(b"<"))
    for _ in range(200 // size):
        held += size - sum(map(len, rewriter.feed(b"a" * size)))
        assert held <= 64


def test_finish_begins_a_new_text() -> None:
    rewriter = Rewriter(Words(b"#"))
    assert rewriter.feed(b"<a") == []
    assert rewriter.finish() == [b"!!"]
    assert rewriter.finish() == []
    assert rewriter.feed(b"b>") == [b"b>"]
