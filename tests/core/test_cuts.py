"""Ids that deltas cut: found whatever the cut, said as others in the same deltas."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.cuts import cut_edits, cuts_of
from gp_replay.core.rewriter import apply_edits

ID = "0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5"
SAME, LONGER = "7f6f1a34-11f0-4d0e-9b62-3f4fb7c2a1d5", "call_a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3"


def deltas(text: str, bounds: list[int]) -> list[str]:
    edges = [0, *sorted(min(bound, len(text)) for bound in bounds), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def messages(parts: list[str]) -> list[bytes]:
    return [json.dumps({"type": "delta", "text": part}).encode() for part in parts]


def said(units: list[bytes], live: str, *, event_stream: bool = False) -> list[bytes]:
    cuts = cuts_of(units, event_stream=event_stream)
    table = {ID.encode(): live.encode()}
    return [apply_edits([unit], cut_edits(cuts.get(at, ()), table.get))[0] for at, unit in enumerate(units)]


def joined(units: list[bytes]) -> str:
    return "".join(json.loads(unit)["text"] for unit in units)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
    st.sampled_from([SAME, LONGER, "call_a1b2c3"]),
)
def test_wherever_deltas_cut_an_id_the_text_they_make_says_the_live_one(bounds: list[int], live: str) -> None:
    text = f"see {ID} there"
    units = messages(deltas(text, bounds))
    whole = any(ID in unit.decode() for unit in units)
    heard = joined(said(units, live))
    assert heard == (text if whole else text.replace(ID, live))


def test_every_delta_keeps_its_share_and_the_last_one_takes_the_rest() -> None:
    units = messages(["a " + ID[:10], ID[10:20], ID[20:] + " z"])
    assert [json.loads(unit)["text"] for unit in said(units, LONGER)] == [
        "a " + LONGER[:10],
        LONGER[10:20],
        LONGER[20:] + " z",
    ]


def test_an_event_stream_is_read_in_its_data_lines() -> None:
    units = [
        b'event: delta\ndata: {"delta":"%s"}\n\n' % ID[:7].encode(),
        b'event: delta\ndata: {"delta":"%s"}\n\n' % ID[7:].encode(),
        b"data: [DONE]\n\n",
    ]
    assert said(units, SAME, event_stream=True) == [
        b'event: delta\ndata: {"delta":"%s"}\n\n' % SAME[:7].encode(),
        b'event: delta\ndata: {"delta":"%s"}\n\n' % SAME[7:].encode(),
        b"data: [DONE]\n\n",
    ]


@pytest.mark.parametrize(
    "units",
    [
        messages([ID, " and ", ID]),
        messages(["call_a1b2c3d4e5f6", "call_z9y8x7w6v5u4"]),
        [b'{"a":"%s"}' % ID[:9].encode(), b'{"b":"%s"}' % ID[9:].encode()],
        messages(["only", " words", " here"]),
        [b"not json", b"", b"{broken"],
        [b'{"a":"x%s"}' % (b"y" * 300)],
    ],
    ids=["whole ids", "ids that follow each other", "other paths", "words", "no JSON", "no delta"],
)
def test_nothing_is_cut_where_no_id_crosses_a_boundary(units: list[bytes]) -> None:
    assert not cuts_of(units, event_stream=False)


def test_an_id_that_is_said_as_recorded_or_not_bound_needs_no_edit() -> None:
    cuts = cuts_of(messages([ID[:9], ID[9:]]), event_stream=False)
    assert cuts
    for live in (lambda _: None, lambda recorded: recorded):
        assert cut_edits(cuts[0], live) == []
