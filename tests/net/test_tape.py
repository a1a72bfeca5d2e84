"""The tape: events of many streams, redacted each on its own, and cut where the recording stops."""

from __future__ import annotations

from dialogue import CLIENT, ask, chat

from gp_replay.core.model import Event, Gone, How, Piece, Side
from gp_replay.core.redaction import RedactionRules, Redactor
from gp_replay.net.tape import Tape

KEY = "sk-abcdefghijklmnop1234567890"


def tape() -> tuple[Tape, list[Event]]:
    written: list[Event] = []
    return Tape(write=written.append, redactor=Redactor(RedactionRules(), salt=b"0" * 16)), written


def test_streams_are_redacted_alike_and_nothing_is_lost() -> None:
    recording, written = tape()
    one, two = ask(1, "POST", "/", f'{{"a":"{KEY}"}}'), ask(2, "POST", "/", f'{{"b":"{KEY}"}}')
    for pair in zip(one, two, strict=True):
        for event in pair:
            recording.take(event)
    recording.done(1)
    recording.done(2)
    assert len(written) == len(one) + len(two)
    bodies = [event.data for event in written if isinstance(event, Piece) and event.side is CLIENT]
    assert KEY.encode() not in b"".join(bodies)
    assert bodies[0][5:-1] == bodies[1][5:-1]
    assert recording.answered == 2


def test_what_is_open_when_the_recording_stops_is_cut() -> None:
    recording, written = tape()
    for event in chat(1, "5 > hello", close=None):
        recording.take(event)
    recording.finish(at_us=99_000)
    assert written[-1] == Gone(at_us=99_000, stream=1, side=Side.SERVER, how=How.CUT)


def test_numbers_rise_from_one() -> None:
    recording, _ = tape()
    assert [recording.number(), recording.number()] == [1, 2]
    assert recording.streams == 2
