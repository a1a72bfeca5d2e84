"""What the live side says, and what it stands for: strict with a live client, lenient with a live server."""

from __future__ import annotations

import pytest
from dialogue import CLIENT, SERVER, ask, cassette, chat

from gp_replay.core.bindings import Bindings
from gp_replay.core.copies import Copies
from gp_replay.core.explain import Recorded
from gp_replay.core.hearing import Hearing
from gp_replay.core.matching import Refusal
from gp_replay.core.model import End, Event, Message, Opcode, Piece, ResponseHead, Side
from gp_replay.core.playing import Candidate, Playing
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile

ONE, TWO, THREE = (f"{digit}b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5" for digit in "012")


class Ear:
    """One live stream against the recordings of one cassette, under a manual clock."""

    def __init__(self, *streams: list[Event], part: Side = SERVER) -> None:
        tape = cassette(*streams)
        script = compile(tape, {"default": part}, Rules())
        self.bindings = Bindings()
        self.copies = Copies()
        self.hearing = Hearing(self.bindings, self.copies)
        candidates = [
            Candidate.begin(
                Recorded(number=number, cassette="tape", script=script, entry=entry),
                script.stream(entry),
                bindings=Bindings(parent=self.bindings) if part is SERVER else self.bindings,
                now_us=0,
                heard=1 if part is SERVER else 0,
            )
            for number, entry in enumerate(script.entries)
        ]
        self.playing = Playing(live=1, candidates=candidates, last_us=0, path="/ws")
        self.now_us = 0

    def client(self, text: str) -> Refusal | None:
        self.now_us += 1
        return self.hearing.from_client(self.playing, message(CLIENT, text), self.now_us)

    def server(self, event: Event | str) -> None:
        self.now_us += 1
        event = message(SERVER, event) if isinstance(event, str) else event
        self.hearing.from_server(self.playing, event, self.now_us)

    @property
    def left(self) -> list[str]:
        return [item.recorded.label for item in self.playing.candidates]

    @property
    def heard(self) -> list[str]:
        """The messages of the lead that were heard, in recorded order."""
        lead = self.playing.lead
        cues = zip(lead.script.cues, lead.heard_us, strict=True)
        return [cue.event.data.decode() for cue, at in cues if at >= 0 and isinstance(cue.event, Message)]


def message(side: Side, text: str) -> Message:
    return Message(at_us=0, stream=1, side=side, opcode=Opcode.TEXT, data=text.encode())


def test_a_client_message_leaves_only_the_recordings_it_agrees_with() -> None:
    ear = Ear(chat(1, "5 > rome"), chat(2, "5 > oslo"), chat(3, "5 > rome", "9 > now"))
    assert ear.client("rome") is None
    assert ear.left == ["tape#1", "tape#3"]
    assert ear.client("now") is None
    assert ear.left == ["tape#3"]


def test_a_client_message_that_agrees_with_none_is_refused_and_drops_none() -> None:
    ear = Ear(chat(1, '5 > {"city":"rome"}'), chat(2, '5 > {"city":"oslo"}'))
    refusal = ear.client('{"city":"bern"}')
    assert refusal is not None
    assert (refusal.kind, refusal.close_code) == ("mismatch", 4409)
    assert [item.place for item in refusal.differences] == ["message.city"]
    assert ear.left == ["tape#1", "tape#2"]


def test_a_message_after_the_last_recorded_one_is_beyond() -> None:
    ear = Ear(chat(1, "5 > a"))
    assert ear.client("a") is None
    refusal = ear.client("a")
    assert refusal is not None
    assert (refusal.kind, refusal.close_code) == ("beyond", 4404)


def test_an_id_the_client_says_first_is_learned_and_must_stay_the_same() -> None:
    ear = Ear(chat(1, f'5 > {{"id":"{ONE}"}}', f'9 > {{"again":"{ONE}"}}'))
    assert ear.client(f'{{"id":"{TWO}"}}') is None
    assert ear.playing.lead.bindings.live(ONE.encode()) == TWO.encode()
    refusal = ear.client(f'{{"again":"{THREE}"}}')
    assert refusal is not None
    assert refusal.kind == "mismatch"
    assert ear.client(f'{{"again":"{TWO}"}}') is None


def test_an_undecided_client_learns_nothing_for_others_until_it_is_settled() -> None:
    ear = Ear(chat(1, f'5 > {{"id":"{ONE}"}}'), chat(2, f'5 > {{"id":"{TWO}"}}'))
    assert ear.client(f'{{"id":"{THREE}"}}') is None
    assert [item.bindings.recorded(THREE.encode()) for item in ear.playing.candidates] == [ONE.encode(), TWO.encode()]
    assert ear.bindings.recorded(THREE.encode()) is None


def test_requests_may_come_in_any_order_and_their_live_numbers_are_kept() -> None:
    ear = Ear(chat(1, '5 > {"id":1,"method":"a"}', '6 > {"id":2,"method":"b"}'))
    assert ear.client('{"id":7,"method":"b"}') is None
    assert ear.client('{"id":8,"method":"a"}') is None
    assert ear.playing.lead.numbers == {"2": "7", "1": "8"}


def test_what_an_undecided_client_was_told_stands_for_the_ids_of_each_recording() -> None:
    ear = Ear(
        chat(1, f'5 < {{"id":"{ONE}"}}', "9 > a", close=None), chat(2, f'5 < {{"id":"{TWO}"}}', "9 > b", close=None)
    )
    lead, other = ear.playing.candidates
    step = next(step for step in other.script.steps if isinstance(step.event, Message))
    ear.hearing.told(other, step, message(SERVER, f'{{"id":"{ONE}"}}'))
    assert other.bindings.live(TWO.encode()) == ONE.encode()
    assert lead.bindings.live(TWO.encode()) is None


def test_a_live_server_may_say_more_or_other_things_and_teaches_its_ids() -> None:
    ear = Ear(
        chat(1, f'5 < {{"type":"welcome","id":"{ONE}"}}', '6 < {"type":"delta","t":"a"}', '7 < {"type":"done"}'),
        part=CLIENT,
    )
    for said in (f'{{"type":"welcome","id":"{TWO}"}}', '{"type":"surprise"}', *['{"type":"delta","t":"x"}'] * 3):
        ear.server(said)
    assert ear.heard == [f'{{"type":"welcome","id":"{ONE}"}}', '{"type":"delta","t":"a"}']
    assert ear.bindings.live(ONE.encode()) == TWO.encode()


@pytest.mark.parametrize("cuts", [(0,), (0, 9, 30), tuple(range(0, 60, 7))], ids=len)
def test_a_live_answer_teaches_its_ids_however_it_is_cut(cuts: tuple[int, ...]) -> None:
    ear = Ear(ask(1, "POST", "/v1", "{}", answer=[(5, '{"text":"hi","id":'), (6, f'"{ONE}"}}')]), part=CLIENT)
    live = f'{{"id":"{TWO}","text":"hello"}}'.encode()
    ear.server(ResponseHead(at_us=0, stream=1, side=SERVER, version=b"HTTP/1.1", status=200, reason=b"OK", headers=()))
    for start, end in zip(cuts, [*cuts[1:], len(live)], strict=True):
        ear.server(Piece(at_us=0, stream=1, side=SERVER, data=live[start:end]))
    assert ear.bindings.live(ONE.encode()) is None
    ear.server(End(at_us=0, stream=1, side=SERVER))
    assert ear.bindings.live(ONE.encode()) == TWO.encode()
    assert ear.playing.lead.awaited() is None
    assert ear.copies.say(b'{"history":["hi"]}') == b'{"history":["hello"]}'
