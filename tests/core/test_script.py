"""Compiling a cassette: gates and distances, for whichever part is ours."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dialogue import CLIENT, SERVER, ask, cassette, chat

from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Gone, How, Message, Opaque, Piece, ResponseHead, Side
from gp_replay.core.rules import Rules
from gp_replay.core.script import StreamScript, compile, server_cast

TALK = chat(1, "3 < hello", "20 > go", "25 < one", "30 < two", "40 > more", "41 < three")


def script_of(tape: MemoryCassette, part: Side) -> StreamScript:
    script = compile(tape, {"default": part}, Rules())
    return script.stream(script.entries[0])


def steps(script: StreamScript) -> list[tuple[str, int, int, bool]]:
    names = {Message: lambda event: event.data.decode(), ResponseHead: lambda event: str(event.status)}
    return [
        (
            names.get(type(step.event), lambda event: type(event).__name__)(step.event),
            step.cues,
            step.after_us // 1000,
            step.follows_step,
        )
        for step in script.steps
    ]


def test_a_server_step_waits_for_what_the_client_had_said_and_is_timed_from_there() -> None:
    assert steps(script_of(cassette(TALK), SERVER)) == [
        ("101", 1, 1, False),
        ("hello", 1, 2, True),
        ("one", 2, 5, False),
        ("two", 2, 5, True),
        ("three", 3, 1, False),
        ("Close", 4, 1, False),
    ]


def test_the_same_stream_for_the_client_is_the_mirror_image() -> None:
    assert steps(script_of(cassette(TALK), CLIENT)) == [
        ("RequestHead", 0, 0, False),
        ("go", 2, 17, False),
        ("more", 4, 10, False),
        ("Close", 5, 1, False),
    ]


def test_an_answer_that_began_before_its_request_ended_waits_for_the_end() -> None:
    events = ask(1, "POST", "/v1", '{"a":1}', answer=[(5, "x")])
    late = [
        replace(event, at_us=9_000) if type(event).__name__ == "End" and event.side is CLIENT else event
        for event in events
    ]
    script = script_of(cassette(late), SERVER)
    assert all(step.cues == 1 for step in script.steps)


def test_interim_answers_are_steps_but_100_continue_is_the_listeners() -> None:
    events = ask(1, "GET", "/", answer=[(5, "x")])
    at = next(number for number, event in enumerate(events) if isinstance(event, ResponseHead))
    head = events[at]
    assert isinstance(head, ResponseHead)
    events[at:at] = [replace(head, status=100), replace(head, status=103)]
    assert [name for name, *_ in steps(script_of(cassette(events), SERVER))][:2] == ["103", "200"]


def test_streams_with_the_same_conversation_have_the_same_digest_whatever_their_ids() -> None:
    one, two = (
        f'{{"type":"welcome","id":"{uuid}"}}'
        for uuid in ("0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5", "7f6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5")
    )
    tape = cassette(chat(1, f"5 < {one}"), chat(2, f"9 < {two}"), chat(3, "5 < other"))
    script = compile(tape, server_cast(tape), Rules())
    digests = [script.stream(entry).digest for entry in script.entries]
    assert digests[0] == digests[1] != digests[2]


def test_roles_outside_the_cast_are_left_alone() -> None:
    tape = cassette(ask(1, "GET", "/a", role="a"), ask(2, "GET", "/b", role="b"))
    assert [entry.role for entry in compile(tape, server_cast(tape, ("b",)), Rules()).entries] == ["b"]


def test_what_cannot_be_played_says_why() -> None:
    events = ask(1, "GET", "/")
    opaque = [*events, Opaque(at_us=99_000, stream=1, side=SERVER, size=5)]
    assert "opaque" in script_of(cassette(opaque), SERVER).problem
    lost = [*events[:3], Gone(at_us=99_000, stream=1, side=SERVER, how=How.UNREACHABLE)]
    assert "not reachable" in script_of(cassette(lost), SERVER).problem
    assert "nothing was answered" in script_of(cassette(events[:3]), SERVER).problem
    assert script_of(cassette(events), SERVER).problem == ""


def test_a_key_is_taken_from_the_index_and_computed_anew_under_other_rules() -> None:
    tape = cassette(ask(1, "POST", "/v1", '{"a":1,"t":"x"}'))
    entry = tape.footer.entries[0]
    assert compile(tape, server_cast(tape), Rules()).key(entry) == entry.key
    rules = Rules.from_plain({"volatile": [{"at": "body.t"}]}, source="test")
    anew = compile(tape, server_cast(tape), rules).key(entry)
    assert len(anew) == len(entry.key)
    assert anew != entry.key


def test_a_request_that_never_ended_has_no_key() -> None:
    tape = cassette(ask(1, "POST", "/v1", '{"a":1}')[:3])
    rules = Rules.from_plain({"volatile": [{"at": "body.t"}]}, source="test")
    assert compile(tape, server_cast(tape), rules).key(tape.footer.entries[0]) == b""
    assert not any(isinstance(event, Piece) and event.side is SERVER for event in tape.events(1))


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: x=1", b"a\nb", b"a\rb", b"a\r\n\r\nbody"])
def test_a_head_with_a_line_break_in_a_field_is_not_played(value: bytes) -> None:
    tape = cassette(ask(1, "GET", "/", answer_headers=((b"X-A", value),)))
    script = compile(tape, {"default": SERVER}, Rules())
    assert "line break" in script.stream(script.entries[0]).problem


def test_a_folded_field_is_played() -> None:
    tape = cassette(ask(1, "GET", "/", answer_headers=((b"X-A", b"a\r\n b"),)))
    script = compile(tape, {"default": SERVER}, Rules())
    assert script.stream(script.entries[0]).problem == ""
