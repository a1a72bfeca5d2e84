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
        (replace(FINE, unfinished=("a#1",)), 0, "1 left early"),
    ],
)
def test_verdict_and_code(receipt: Receipt, code: int, words: str) -> None:
    assert receipt.exit_code == code
    assert words in receipt.verdict
    assert json.loads(json.dumps(receipt.plain()))["exit_code"] == code
