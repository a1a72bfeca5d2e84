"""How far a live stream is: cues heard in any order, gates that open in recorded order."""

from __future__ import annotations

from dialogue import SERVER, cassette, chat
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.explain import Recorded
from gp_replay.core.playing import Candidate
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile

TAPE = cassette(chat(1, "10 > a", "11 > b", "12 > a", "20 < done", close=None))
SCRIPT = compile(TAPE, {"default": SERVER}, Rules())
STREAM = SCRIPT.stream(SCRIPT.entries[0])
A, B = STREAM.cues[1].digest, STREAM.cues[2].digest


def candidate() -> Candidate:
    recorded = Recorded(number=0, cassette="tape", script=SCRIPT, entry=SCRIPT.entries[0])
    return Candidate(recorded=recorded, script=STREAM, heard=bytearray(b"\1\0\0\0"), opened_us=[0, 0])


def test_equal_cues_are_heard_one_after_the_other() -> None:
    playing = candidate()
    assert [playing.hear(A, 1), playing.hear(A, 2), playing.hear(A, 3)] == [1, 3, None]


@given(st.permutations([A, B, A]))
def test_the_gate_opens_when_all_before_it_were_heard_whatever_the_order(order: list[bytes]) -> None:
    playing = candidate()
    for now, digest in enumerate(order, 10):
        assert playing.hear(digest, now) is not None
    assert playing.gate == 4
    assert playing.opened_us[-1] == 12
    assert playing.opened_us == sorted(playing.opened_us)


def test_the_step_behind_the_last_is_none() -> None:
    playing = candidate()
    assert playing.next_step(len(STREAM.steps)) is None
    assert playing.next_step(0) is STREAM.steps[0]
