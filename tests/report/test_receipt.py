"""What a replay came to, and what that exits with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gp_replay.core.matching import Refusal
from gp_replay.report.receipt import CassetteUsed, Receipt

FINE = Receipt(
    cassettes=[CassetteUsed(name="a", path="a.gpr", digest="00", recorded_at="2026-11-25T10:00:00Z")],
    cast=[("llm", "server")],
    timing="recorded",
    served=("a#1",),
    unfinished=(),
    missed=(),
    unplayed=("a#2",),
)
MISS = Refusal(kind="no-match", reason="GET /", close_code=4404)


@pytest.mark.parametrize(
    ("receipt", "code", "words"),
    [
        (FINE, 0, "served 1, missed 0, unplayed 1"),
        (replace(FINE, missed=(MISS,)), 1, "missed 1"),
        (replace(FINE, served=(), missed=(MISS,)), 1, "served 0"),
        (replace(FINE, served=()), 4, "nothing was served"),
        (replace(FINE, repeated=(("a#1", 2),)), 0, "unplayed 1, repeated 2"),
        (replace(FINE, unfinished=("a#1",)), 0, "1 left early"),
        (replace(FINE, served=(), faults=(("http=429", "a#1", 3),), wanted=["http=429"]), 0, "unplayed 1, faults 3"),
        (replace(FINE, wanted=["silence", "cut=1#2"]), 4, "; never happened: silence, cut=1#2"),
        (replace(FINE, wanted=["silence"], missed=(MISS,)), 1, "never happened: silence"),
    ],
)
def test_verdict_and_code(receipt: Receipt, code: int, words: str) -> None:
    assert receipt.exit_code == code
    assert words in receipt.verdict
    assert json.loads(json.dumps(receipt.plain()))["exit_code"] == code


@pytest.mark.parametrize(
    ("own", "others", "code", "words"),
    [
        ((), {"n": FINE}, 0, "served 1, missed 0, unplayed 0, namespaces 1"),
        ((), {"n": replace(FINE, served=())}, 4, "nothing was served: no client asked"),
        (("a#1",), {"n": replace(FINE, served=(), missed=(MISS,))}, 1, "namespaces 1 (missed in n)"),
        (("a#1",), {"n": FINE, "m": replace(FINE, unfinished=("a#1",))}, 0, "served 3, missed 0"),
        ((), {f"n{i}": replace(FINE, missed=(MISS,)) for i in range(7)}, 1, "missed in n0, n1, n2, n3, n4 and 2 more"),
        ((), {"n": replace(FINE, served=(), live=("GET /y",))}, 4, "no cassette had what was asked"),
    ],
)
def test_namespaces_are_summed_up(own: tuple[str, ...], others: dict[str, Receipt], code: int, words: str) -> None:
    receipt = replace(FINE, served=own, unplayed=() if own else ("a#1",), namespaces=others)
    assert receipt.exit_code == code
    assert words in receipt.verdict
    plain = json.loads(json.dumps(receipt.plain()))["namespaces"]
    assert {name: (item["verdict"], item["exit_code"]) for name, item in plain.items()} == {
        name: (item.verdict, item.exit_code) for name, item in others.items()
    }


def test_what_one_namespace_played_was_not_left_unplayed() -> None:
    receipt = replace(FINE, unplayed=("a#2", "a#3"), namespaces={"n": replace(FINE, served=("a#2",))})
    assert list(receipt.never_asked) == ["a#3"]
    assert receipt.source == "cassette"
    assert replace(receipt, namespaces={"n": replace(FINE, live=("GET /",))}).source == "mixed"
