"""Ids that a server made, and clients that may not say them before it has."""

from __future__ import annotations

from dialogue import CLIENT, ask, cassette, chat

from gp_replay.core.bindings import Bindings
from gp_replay.core.defining import Defining
from gp_replay.core.explain import Recorded
from gp_replay.core.model import Event
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile

ONE, TWO = (f"{digit}b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5" for digit in "01")


def recordings(*streams: list[Event]) -> list[Recorded]:
    tape = cassette(*streams)
    script = compile(tape, {"default": CLIENT}, Rules())
    return [Recorded(number=n, cassette="tape", script=script, entry=entry) for n, entry in enumerate(script.entries)]


THREAD = ask(1, "POST", "/threads", f'{{"key":"{TWO}"}}', answer=[(1, f'{{"id":"{ONE}","key":"{TWO}"}}')])


def test_an_id_the_live_server_has_not_given_is_named_with_who_gave_it() -> None:
    ours = recordings(THREAD, ask(2, "GET", f"/threads/{ONE}", at=10))
    bindings = Bindings()
    assert Defining(ours).missing(ours[1], bindings) == (ONE, "tape#1")
    bindings.bind(ONE.encode(), b"thread_Zz81kQp0Lm42")
    assert Defining(ours).missing(ours[1], bindings) is None


def test_an_id_the_client_said_first_is_its_own() -> None:
    ours = recordings(THREAD, ask(2, "POST", "/x", f'{{"key":"{TWO}"}}', at=10))
    assert Defining(ours).missing(ours[0], Bindings()) is None
    assert Defining(ours).missing(ours[1], Bindings()) is None


def test_what_a_connection_was_told_counts_too() -> None:
    ours = recordings(chat(1, f'5 < {{"session":"{ONE}"}}'), ask(2, "POST", "/x", f'{{"session":"{ONE}"}}', at=90))
    assert Defining(ours).missing(ours[0], Bindings()) is None
    assert Defining(ours).missing(ours[1], Bindings()) == (ONE, "tape#1")
