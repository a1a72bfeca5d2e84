"""Ids that stand for recorded ones."""

from __future__ import annotations

from dialogue import SERVER

from gp_replay.core.bindings import Bindings
from gp_replay.core.model import Fragment, Message, Opcode, Piece, Ping

ONE, TWO = "0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5", "main_7c2a1d5e9b"


def message(text: str, fragments: tuple[Fragment, ...] = ()) -> Message:
    return Message(at_us=0, stream=1, side=SERVER, opcode=Opcode.TEXT, data=text.encode(), fragments=fragments)


def bound() -> Bindings:
    bindings = Bindings()
    bindings.learn(
        recorded=message(f'{{"id":"{ONE}","city":"Rome","n":[{{"id":"{ONE}"}}]}}'),
        said=message(f'{{"id":"{TWO}","city":"Oslo","n":[{{"id":"{TWO}"}}]}}'),
    )
    return bindings


def test_ids_are_bound_and_words_are_not() -> None:
    bindings = bound()
    assert len(bindings) == 1
    assert bindings.apply(message(f"Rome {ONE} {ONE}")) == message(f"Rome {TWO} {TWO}")


def test_fragments_are_given_up_only_when_the_length_changes() -> None:
    parts = (Fragment(length=1, at_us=0), Fragment(length=len(ONE) - 1, at_us=0))
    assert bound().apply(message(ONE, parts)) == message(TWO)
    assert bound().apply(message("x", (Fragment(length=1, at_us=0),))).fragments  # type: ignore[union-attr]


def test_bodies_are_rewritten_and_other_events_left_alone() -> None:
    piece = Piece(at_us=0, stream=1, side=SERVER, data=ONE.encode())
    assert bound().apply(piece).data == TWO.encode()  # type: ignore[union-attr]
    ping = Ping(at_us=0, stream=1, side=SERVER, data=ONE.encode())
    assert bound().apply(ping) is ping
    assert Bindings().apply(piece) is piece
