"""How far a live stream is: cues heard in any order, gates that open in recorded order."""

from __future__ import annotations

from dialogue import SERVER, cassette, chat
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.bindings import Bindings
from gp_replay.core.explain import Recorded
from gp_replay.core.playing import Candidate, Playing
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile

TAPE = cassette(chat(1, "10 > a", "11 > b", "12 > a", "20 < done", close=None))
SCRIPT = compile(TAPE, {"default": SERVER}, Rules())
STREAM = SCRIPT.stream(SCRIPT.entries[0])
A, B = STREAM.cues[1].digest, STREAM.cues[2].digest


def candidate() -> Candidate:
    recorded = Recorded(number=0, cassette="tape", script=SCRIPT, entry=SCRIPT.entries[0])
    return Candidate.begin(recorded, STREAM, bindings=Bindings(), now_us=0, heard=1)


def hear(playing: Candidate, digest: bytes, now_us: int) -> int | None:
    at = next(iter(playing.unheard(digest=digest)), None)
    if at is not None:
        playing.mark(at, now_us)
    return at


def test_equal_cues_are_heard_one_after_the_other() -> None:
    playing = candidate()
    assert [hear(playing, A, 1), hear(playing, A, 2), hear(playing, A, 3)] == [1, 3, None]


@given(st.permutations([A, B, A]))
def test_the_gate_opens_when_all_before_it_were_heard_whatever_the_order(order: list[bytes]) -> None:
    playing = candidate()
    for now, digest in enumerate(order, 10):
        assert hear(playing, digest, now) is not None
    assert playing.gate == 4
    assert playing.opened_us[-1] == 12
    assert playing.opened_us == sorted(playing.opened_us)
    assert playing.is_open(STREAM.steps[-1])
    assert playing.gate_us(STREAM.steps[-1]) == 12
    assert playing.awaited() is None


def test_of_two_lanes_each_has_its_own_next_step() -> None:
    tape = cassette(
        chat(
            1,
            '10 > {"id":1,"method":"a"}',
            '11 > {"id":2,"method":"b"}',
            '20 < {"id":1,"result":{}}',
            '21 < {"id":2,"result":{}}',
        )
    )
    script = compile(tape, {"default": SERVER}, Rules())
    stream = script.stream(script.entries[0])
    assert stream.lanes == ((0, 3), (1,), (2,))
    recorded = Recorded(number=0, cassette="tape", script=script, entry=script.entries[0])
    item = Candidate.begin(recorded, stream, bindings=Bindings(), now_us=0, heard=1)
    playing = Playing(live=1, candidates=[item], last_us=0, claimed=True)
    playing.start_lanes()
    assert [number for number, _ in playing.ready()] == [0]
    playing.saying(stream.steps[0], 5)
    item.mark(2, 30)
    assert [number for number, _ in playing.ready()] == [2]
    playing.saying(stream.steps[2], 40)
    assert playing.ready() == []
    assert not playing.finished
