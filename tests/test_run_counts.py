"""What a run consumed, counted from takes, receipts and cassettes."""

from __future__ import annotations

from pathlib import Path

from dialogue import ask, cassette, chat
from filed import write

from gp_replay.core.matching import Refusal
from gp_replay.report.receipt import CassetteUsed, Receipt
from gp_replay.run_counts import consumed_from_cassettes, consumed_live, recorded_owners
from gp_replay.runs.verdict import Consumed

TAPE = cassette(
    ask(1, "GET", "/x", role="llm"),
    chat(2, "5 < hi", "9 > ho", role="chat", owner="alice"),
    chat(3, "5 < hi", role="chat", owner="bob"),
    ask(4, "GET", "/y", role="llm", owner="alice"),
)


def receipt(path: Path, served: tuple[str, ...], unfinished: tuple[str, ...] = (), **namespaces: Receipt) -> Receipt:
    missed: tuple[Refusal, ...] = ()
    return Receipt(
        cassettes=[CassetteUsed(name="a", path=str(path), digest="d", recorded_at="")],
        cast=[],
        timing="instant",
        served=served,
        unfinished=unfinished,
        missed=missed,
        unplayed=(),
        namespaces=namespaces,
    )


def test_a_take_counts_what_was_answered_by_role(tmp_path: Path) -> None:
    opened_only = ask(5, "GET", "/z", role="llm")[:3]
    path = write(
        tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", role="llm"), chat(2, "5 < hi", role="chat"), opened_only)
    )
    consumed, digest = consumed_live(path)
    assert consumed == {"llm": Consumed(exchanges=1, unanswered=1), "chat": Consumed(connections=1, messages=1)}
    assert len(digest) == 64


def test_a_receipt_counts_what_was_played_and_messages_only_of_what_was_played_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", TAPE)
    other = receipt(path, ("a#2",))
    played = consumed_from_cassettes(receipt(path, ("a#1", "a#2", "a#3"), ("a#2",), login=other))
    assert played["llm"].consumed == Consumed(exchanges=1)
    assert played["chat"].consumed == Consumed(connections=3, messages=2 + 1)
    assert list(played["chat"].cassettes) == ["a"]
    assert consumed_from_cassettes(receipt(path, ())) == {}


def test_owners_are_those_of_each_role(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", TAPE)
    assert recorded_owners([str(path)]) == {"chat": ["alice", "bob"], "llm": ["alice"]}
