"""What each fault does to a small recorded chat, told as the client hears it: ``TIME text``, its own words as ``>``."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from dialogue import CLIENT, SERVER, ask, cassette, chat
from staged import Stage

from gp_replay.core.acts import Claim
from gp_replay.core.faulting import faulted
from gp_replay.core.faults import parse_fault
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Event, Message, ResponseHead, header_value
from gp_replay.core.rules import Rules
from gp_replay.core.script import StreamScript, compile, server_cast
from gp_replay.core.terms import Terms
from gp_replay.core.timing import Pace

INSTANT = Pace(factor=0)
WELCOME = '{"type":"connection_established","data":{"mode":"main","connection_id":"main_1b2c3d4e"}}'
START, THINKING, DONE = (f'{{"type":"agent_{name}"}}' for name in ("started", "thinking", "completed"))
GO = '{"type":"start_agent"}'
NAMES = {WELCOME: "welcome", START: "started", THINKING: "thinking", DONE: "completed", GO: "go"}


def tape(*more: list[Event]) -> MemoryCassette:
    """Welcome at 5 ms; the client speaks at 10; the run takes until 60."""
    return cassette(chat(1, f"5 < {WELCOME}", f"10 > {GO}", f"20 < {START}", f"40 < {THINKING}", f"60 < {DONE}"), *more)


def staged(*faults: str, pace: Pace | None = None, recorded: MemoryCassette | None = None) -> Stage:
    terms = Terms(pace=pace or Pace(), faults=tuple(map(parse_fault, faults)))
    return Stage(recorded or tape(), terms=terms)


def named(said: Sequence[str]) -> list[str]:
    for text, name in NAMES.items():
        said = [line.replace(text, name) for line in said]
    return list(said)


def heard(stage: Stage, *, speaks_at: float = 10, until: float = 70_000) -> list[str]:
    """A whole connection: what was said, before and after the client's one message."""
    stage.connect()
    said = stage.until(speaks_at)
    said += [f"{speaks_at:g} {text}" for text in stage.say(GO)]
    return named(said + stage.until(until))


RECORDED = ["1 101", "5 welcome", "20 started", "40 thinking", "60 completed"]
DIALOGUES = {
    "nothing": ((), 10, RECORDED),
    "welcome-late": (("welcome-late",), 10_000, ["1 101", "3005 welcome", "10010 started", "10030 thinking", "10050 completed"]),
    "welcome-late=0.5": (("welcome-late=0.5",), 600, ["1 101", "505 welcome", "610 started", "630 thinking", "650 completed"]),
    "welcome-held, for a client that does not wait": (("welcome-held",), 10, ["1 101", "10 welcome", *RECORDED[2:]]),
    "welcome-held, for one that does": (
        ("welcome-held",),
        3_100,
        ["1 101", "3005 welcome", "3110 started", "3130 thinking", "3150 completed"],
    ),
    "events-before-welcome": (
        ("events-before-welcome",),
        10,
        ["1 101", "5 started", "5 welcome", "40 thinking", "60 completed"],
    ),
    "double-welcome": (("double-welcome",), 10, ["1 101", "5 welcome", "5 welcome", *RECORDED[2:]]),
    "no-welcome-1011": (("no-welcome-1011",), 10, ["1 101", "64 close 1011", "64 over"]),
    "close-1011-mid-run": (("close-1011-mid-run",), 10, [*RECORDED[:4], "40 close 1011", "40 over"]),
    "close-1011-mid-run=2": (("close-1011-mid-run=2",), 10, [*RECORDED[:3], "20 close 1011", "20 over"]),
    "silence": (("silence",), 10, RECORDED[:2]),
    "refused-upgrade": (("refused-upgrade",), 10, ["0 403", "0 end", "0 over"]),
    "refused-upgrade=503": (("refused-upgrade=503",), 10, ["0 503", "0 Service Unavailable", "0 end", "0 over"]),
    "cut=0": (("cut=0",), 10, ["1 101", "1 gone", "1 over"]),
    "cut=3": (("cut=3",), 10, [*RECORDED[:4], "40 gone", "40 over"]),
    "cut=9 has nothing to cut": (("cut=9",), 10, RECORDED),
    "delay": (("delay=1",), 1_100, ["1001 101", "1005 welcome", "1110 started", "1130 thinking", "1150 completed"]),
    "age-cut": (("age-cut=0.03",), 10, [*RECORDED[:3], "31 gone"]),
    "a silent client is cut too": (("age-cut",), 9_000, [*RECORDED[:2], "9010 started", "9030 thinking", "9050 completed", "30001 gone"]),
    "held, and never answered": (("welcome-held", "silence"), 10, ["1 101", "10 welcome"]),
    "one ending is enough": (("no-welcome-1011", "silence", "cut=1"), 10, ["1 101", "64 close 1011", "64 over"]),
    "another role's": (("llm:silence",), 10, RECORDED),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALOGUES)
def test_a_connection_goes_wrong_as_its_fault_says(name: str) -> None:
    faults, speaks_at, said = DIALOGUES[name]
    assert heard(staged(*faults), speaks_at=speaks_at) == said


@pytest.mark.parametrize("name", ["welcome-late", "no-welcome-1011", "delay=1"])
def test_seconds_of_a_fault_are_real_whatever_the_pace(name: str) -> None:
    recorded, instant = (heard(staged(name, pace=pace), speaks_at=5_000) for pace in (Pace(), INSTANT))
    times = [[float(line.split()[0]) for line in said] for said in (recorded, instant)]
    assert 0 < times[0][1] - times[1][1] <= 5


def test_an_error_that_says_accept_first_precedes_its_1011() -> None:
    said = heard(staged("accept-error-1011"))
    assert said[0] == "1 101"
    assert "Need to call" in json.loads(said[1].removeprefix("1 "))["error_message"]
    assert said[2:] == ["1 close 1011", "1 over"]


def test_a_welcome_lacks_the_field_that_is_named() -> None:
    assert heard(staged("welcome-without"))[1] == '5 {"type":"connection_established","data":{"mode":"main"}}'
    assert "mode" not in heard(staged("welcome-without=mode"))[1]
    assert heard(staged("welcome-without=nothing_like_it")) == RECORDED


def test_a_later_message_gives_another_connection_id() -> None:
    recorded = cassette(chat(1, f"5 < {WELCOME}", '6 < {"type":"status","connection_id":"main_1b2c3d4e"}'))
    stage = staged("connection-id-changes", recorded=recorded)
    stage.connect()
    assert stage.until(100)[1:] == [f"5 {WELCOME}", '6 {"type":"status","connection_id":"main_1b2c3d40"}']


def test_a_heartbeat_is_added_where_nothing_recorded_says_the_connection_id() -> None:
    said = heard(staged("connection-id-changes"))
    assert said == [*RECORDED[:2], '5 {"type":"heartbeat","data":{"connection_id":"main_1b2c3d40"}}', *RECORDED[2:]]


def test_a_heartbeat_gives_another_connection_id() -> None:
    beat = '{"type":"heartbeat","connection_id":"main_1b2c3d4e"}'
    recorded = cassette(chat(1, f"5 < {WELCOME}", f"1001 < {beat}", f"2001 < {beat}"))
    stage = staged("connection-id-changes", recorded=recorded)
    stage.connect()
    assert stage.until(1_500)[-1].endswith(beat.replace("3d4e", "3d40"))


OFFER = ((b"Sec-WebSocket-Protocol", b"jwt-auth, jwt.eyJhbGciOiJIUzI1NiJ9"),)


def accepted(fault: str, headers: tuple[tuple[bytes, bytes], ...]) -> bytes | None:
    script = only_script(cassette(chat(1, f"5 < {WELCOME}", headers=headers)))
    events = [step.event for step in faulted(script, [parse_fault(fault)]).steps]
    assert isinstance(events[0], ResponseHead)
    return header_value(events[0].headers, b"sec-websocket-protocol")


def only_script(recorded: MemoryCassette) -> StreamScript:
    script = compile(recorded, server_cast(recorded), Rules())
    return script.stream(script.entries[0])


def test_a_subprotocol_is_selected_that_was_not_offered() -> None:
    assert accepted("subprotocol-not-offered", ()) == b"jwt-auth"
    assert accepted("subprotocol-not-offered", OFFER) == b"jwt"
    assert accepted("subprotocol-not-offered=chat.v9", OFFER) == b"chat.v9"
    assert accepted("subprotocol-not-offered=jwt-auth", OFFER) is None


def test_the_token_comes_back_as_the_subprotocol() -> None:
    assert accepted("token-echoed", OFFER) == b"jwt.eyJhbGciOiJIUzI1NiJ9"
    assert accepted("token-echoed", ()) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 101),
        (((b"Authorization", b"Bearer abcdefghijkl"),), 403),
        (((b"Authorization", b"Bearer abcdefghijkl"), *OFFER), 101),
    ],
)
def test_a_handshake_that_only_a_stripped_header_authorized_is_refused(
    headers: tuple[tuple[bytes, bytes], ...], status: int
) -> None:
    script = only_script(cassette(chat(1, f"5 < {WELCOME}", headers=headers)))
    first = faulted(script, [parse_fault("authorization-stripped")]).steps[0].event
    assert isinstance(first, ResponseHead)
    assert first.status == status


@pytest.mark.parametrize(
    ("lines", "welcome"),
    [
        (("2 < {}", f"5 < {WELCOME}"), 1),
        (("2 < hello", "5 < there"), 0),
        (("2 > hello", "5 < there"), None),
        (("2 > hello", '5 < {"type":"factory_connection_established"}'), 0),
        (("2 < first", '5 < {"type":"disconnection_established"}'), 0),
    ],
)
def test_the_welcome_is_told_by_its_type_or_by_being_first(lines: tuple[str, ...], welcome: int | None) -> None:
    script = only_script(cassette(chat(1, *lines)))
    late = faulted(script, [parse_fault("welcome-late")])
    messages = [step for step in late.steps if isinstance(step.event, Message)]
    assert [at for at, step in enumerate(messages) if step.held_us] == ([] if welcome is None else [welcome])
    assert (late is script) == (welcome is None)


def test_requests_in_flight_are_cut_after_what_was_said_in_every_lane() -> None:
    recorded = cassette(
        chat(
            1,
            '10 > {"jsonrpc":"2.0","id":1,"method":"slow"}',
            '11 > {"jsonrpc":"2.0","id":2,"method":"fast"}',
            '20 < {"jsonrpc":"2.0","id":2,"result":"F"}',
            '90 < {"jsonrpc":"2.0","id":1,"result":"S"}',
            "95 < never",
        )
    )
    stage = staged("cut=2", recorded=recorded)
    stage.connect()
    stage.until(10)
    for number, method in ((1, "slow"), (2, "fast")):
        assert stage.say(json.dumps({"jsonrpc": "2.0", "id": number, "method": method})) == []
    said = [line.partition(" ")[2] for line in stage.until(1_000)]
    assert said == ['{"jsonrpc":"2.0","id":2,"result":"F"}', '{"jsonrpc":"2.0","id":1,"result":"S"}', "gone", "over"]


# Exchanges

CHUNKED = ((b"Transfer-Encoding", b"chunked"),)
SIZED = ((b"Content-Length", b"4"),)


def asked(fault: str, *, headers: tuple[tuple[bytes, bytes], ...] = CHUNKED) -> list[str]:
    recorded = cassette(
        ask(1, "POST", "/v1/chat/completions", "{}", answer=[(10, "ab"), (20, "cd")], answer_headers=headers)
    )
    stage = staged(fault, recorded=recorded)
    stage.ask("POST", "/v1/chat/completions", "{}")
    return stage.until(60_000)


def test_an_answer_is_cut_after_so_many_chunks() -> None:
    whole = ["10 200", "10 ab", "20 cd", "20 end", "20 over"]
    assert asked("cut=0") == ["0 gone", "0 over"]
    assert asked("cut=1") == ["10 200", "10 ab", "10 gone", "10 over"]
    assert asked("cut=2") == ["10 200", "10 ab", "20 cd", "20 gone", "20 over"]
    assert asked("cut=3") == whole
    assert asked("cut=2", headers=SIZED) == whole


def test_an_answer_stalls_after_so_many_chunks_and_stays_open() -> None:
    assert asked("stall=0") == []
    assert asked("stall=1") == ["10 200", "10 ab"]
    assert asked("stall=2", headers=SIZED) == asked("delay=0")
    assert heard(staged("stall=2")) == RECORDED[:3]


def test_an_answer_is_delayed_as_a_whole() -> None:
    assert asked("delay=2") == ["2010 200", "2010 ab", "2020 cd", "2020 end", "2020 over"]


def test_an_error_comes_at_once_and_whole_even_where_the_recording_broke_off() -> None:
    events = ask(1, "POST", "/v1/chat/completions", "{}", answer=[(500, "ab")])[:-1]
    stage = staged("http=429", recorded=cassette(events))
    assert isinstance(stage.ask("POST", "/v1/chat/completions", "{}"), Claim)
    said = stage.until(1_000)
    assert said[0] == "0 429"
    assert json.loads(said[1].removeprefix("0 "))["error"]["code"] == "rate_limit_exceeded"
    assert said[2:] == ["0 end", "0 over"]


def test_a_fault_of_the_other_protocol_changes_nothing() -> None:
    assert asked("silence") == ["10 200", "10 ab", "20 cd", "20 end", "20 over"]
    assert heard(staged("http=429")) == RECORDED


def test_our_own_clients_have_no_faults() -> None:
    recorded = tape()
    script = compile(recorded, {"default": CLIENT}, Rules())
    ours = script.stream(script.entries[0])
    assert faulted(ours, [parse_fault("silence")]) is ours
    assert ours.part is not SERVER
