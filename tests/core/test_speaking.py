"""How recorded events are said live: ids, numbers, times and addresses change, every other byte stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dialogue import CLIENT, SERVER, ask, cassette, chat
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.authority import OwnAddress
from gp_replay.core.bindings import Bindings
from gp_replay.core.copies import Copies
from gp_replay.core.explain import Recorded
from gp_replay.core.model import Event, Fragment, Headers, Message, Piece, RequestHead, ResponseHead, Side
from gp_replay.core.playing import Candidate
from gp_replay.core.rebasing import unix_us
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile
from gp_replay.core.speaking import Speaker

ONE, TWO = "0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5", "1b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5"
LONGER = "call_a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3"
RECORDED_US = unix_us("2026-11-25T10:00:00Z") or 0
DAY_US = 86_400_000_000
UPSTREAM = "http://default.test"


def candidate(events: list[Event], part: Side = SERVER, pairs: tuple[tuple[str, str], ...] = ()) -> Candidate:
    tape = cassette(events)
    script = compile(tape, {"default": part}, Rules())
    entry = script.entries[0]
    bindings = Bindings()
    bindings.learn([(recorded.encode(), live.encode()) for recorded, live in pairs])
    recorded = Recorded(number=0, cassette="tape", script=script, entry=entry)
    return Candidate.begin(recorded, script.stream(entry), bindings=bindings, now_us=0, heard=1)


def speaker(item: Candidate, *, started_us: int | None = None) -> Speaker:
    speaking = Speaker(started_us, Copies())
    speaking.begin(item.recorded, 0)
    return speaking


def messages(item: Candidate, speaking: Speaker, address: OwnAddress | None = None) -> list[str]:
    said = [speaking.message(item, step, address=address) for step in item.script.steps]
    return [event.data.decode() for event in said if isinstance(event, Message)]


def pieces(item: Candidate, speaking: Speaker, address: OwnAddress | None = None) -> list[str]:
    script = speaking.answer(item, address=address)
    return [step.event.data.decode() for step in script.steps if isinstance(step.event, Piece)]


def own(live: str = "127.0.0.1:8080/llm") -> OwnAddress:
    return OwnAddress(upstream=UPSTREAM, live=live)


def test_what_no_id_time_or_address_is_in_is_the_recorded_event_itself() -> None:
    item = candidate(chat(1, '5 < {"text":"hi",  "n": 1.0}', f'6 < {{"id":"{ONE}"}}'))
    speaking = speaker(item)
    for step in item.script.steps:
        assert speaking.message(item, step, address=own()) is step.event


def test_a_bound_id_is_said_as_this_client_knows_it_also_in_nested_json_and_deltas() -> None:
    item = candidate(
        chat(
            1,
            f'5 < {{"args":"{{\\"id\\":\\"{ONE}\\"}}"}}',
            f'6 < {{"delta":"{ONE[:9]}"}}',
            f'7 < {{"delta":"{ONE[9:]}"}}',
        ),
        pairs=((ONE, TWO),),
    )
    assert messages(item, speaker(item)) == [
        f'{{"args":"{{\\"id\\":\\"{TWO}\\"}}"}}',
        f'{{"delta":"{TWO[:9]}"}}',
        f'{{"delta":"{TWO[9:]}"}}',
    ]


def test_a_reply_carries_the_number_the_live_client_gave_its_request() -> None:
    item = candidate(chat(1, '5 > {"id":1,"method":"a"}', '6 < {"id":1,"result":{"id":1}}', '7 < {"method":"event"}'))
    item.number("1", "42")
    assert messages(item, speaker(item)) == ['{"id":42,"result":{"id":1}}', '{"method":"event"}']


def test_fragments_stay_while_they_add_up() -> None:
    events = chat(1, f'5 < {{"id":"{ONE}"}}')
    parts = (Fragment(length=9, at_us=1), Fragment(length=36, at_us=2))
    events = [replace(event, fragments=parts) if isinstance(event, Message) else event for event in events]
    said = []
    for live in (TWO, LONGER):
        item = candidate(events, pairs=((ONE, live),))
        step = next(step for step in item.script.steps if isinstance(step.event, Message))
        said.append(speaker(item).message(item, step, address=None))
    assert isinstance(said[0], Message)
    assert said[0].fragments == parts
    assert isinstance(said[1], Message)
    assert sum(fragment.length for fragment in said[1].fragments) in (0, len(said[1].data))


@pytest.mark.parametrize(
    ("started_us", "expected"),
    [
        (None, "2026-11-25T10:00:00.005Z"),
        (RECORDED_US, "2026-11-25T10:00:00.005Z"),
        (RECORDED_US + DAY_US, "2026-11-26T10:00:00.005Z"),
    ],
    ids=["not asked for", "no distance", "a day later"],
)
def test_times_move_as_far_as_the_play_is_from_the_recording(started_us: int | None, expected: str) -> None:
    recorded = '{"at":"2026-11-25T10:00:00.005Z"}'
    item = candidate(chat(1, f"5 < {recorded}"))
    assert messages(item, speaker(item, started_us=started_us)) == [
        recorded.replace("2026-11-25T10:00:00.005Z", expected)
    ]


@given(st.lists(st.integers(1, 40), max_size=6), st.sampled_from([TWO, LONGER]))
def test_an_answer_keeps_its_number_of_pieces_whatever_they_cut(sizes: list[int], live: str) -> None:
    body = f'{{"id":"{ONE}","next":"{UPSTREAM}/p/{ONE}","created_at":"2026-11-25T10:00:00Z"}}'
    parts: list[str] = []
    rest = body
    for size in sizes:
        parts, rest = [*parts, rest[:size]], rest[size:]
    parts = [part for part in (*parts, rest) if part]
    item = candidate(ask(1, "GET", "/", answer=[(5, part) for part in parts]), pairs=((ONE, live),))
    said = pieces(item, speaker(item, started_us=RECORDED_US + DAY_US), own())
    assert len(said) == len(parts)
    assert "".join(said) == body.replace(ONE, live).replace(UPSTREAM, "http://127.0.0.1:8080/llm").replace("25T", "26T")


def test_content_length_follows_the_body_and_headers_name_us() -> None:
    body = f'{{"id":"{ONE}"}}'
    headers: Headers = (
        (b"Content-Length", b"%d" % len(body)),
        (b"location", f"{UPSTREAM}/runs/{ONE}".encode()),
        (b"X-Kept", b"1"),
    )
    item = candidate(ask(1, "POST", "/", "{}", answer=[(5, body)], answer_headers=headers), pairs=((ONE, LONGER),))
    script = speaker(item).answer(item, address=own())
    head = next(step.event for step in script.steps if isinstance(step.event, ResponseHead))
    whole = b"".join(step.event.data for step in script.steps if isinstance(step.event, Piece))
    assert head.headers == (
        (b"Content-Length", b"%d" % len(whole)),
        (b"location", f"http://127.0.0.1:8080/llm/runs/{LONGER}".encode()),
        (b"X-Kept", b"1"),
    )


def test_our_client_says_learned_ids_and_copied_texts_in_its_own_request() -> None:
    body = f'{{"history":["recorded answer"],"run":"{ONE}"}}'
    length = ((b"Content-Length", b"%d" % len(body)),)
    item = candidate(ask(1, "POST", f"/runs/{ONE}", body, headers=length), CLIENT, pairs=((ONE, LONGER),))
    copies = Copies()
    copies.heard({("a",): "recorded answer"}, {("a",): "live one"})
    script = Speaker(None, copies).answer(item, address=None)
    head = next(step.event for step in script.steps if isinstance(step.event, RequestHead))
    said = b"".join(step.event.data for step in script.steps if isinstance(step.event, Piece))
    assert head.target == f"/runs/{LONGER}".encode()
    assert said == f'{{"history":["live one"],"run":"{LONGER}"}}'.encode()
    assert dict(head.headers)[b"Content-Length"] == b"%d" % len(said)
