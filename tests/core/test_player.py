"""The player, as dialogues under a manual clock."""

from __future__ import annotations

import pytest
from dialogue import CLIENT, SERVER, ask, cassette, chat
from pair import Pair
from staged import Stage, word, words

from gp_replay.core.acts import Claim, Pending
from gp_replay.core.explain import Request
from gp_replay.core.matching import Refusal
from gp_replay.core.model import (
    Close,
    Event,
    Gone,
    How,
    Message,
    Protocol,
    RequestHead,
    Side,
)
from gp_replay.core.player import Player
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast
from gp_replay.core.timing import Pace

WELCOME = '{"type":"welcome","id":"%s"}'


@pytest.mark.parametrize("pace", [Pace(), Pace(factor=0.0), Pace(factor=2.0)], ids=str)
def test_opposite_casts_joined_play_to_the_end_without_a_miss(pace: Pace) -> None:
    tape = cassette(
        ask(1, "POST", "/v1/chat", '{"q":1}', answer=[(5, "a"), (9, "b")]),
        chat(2, "3 < hello", "20 > go", "25 < one", "30 < two", "60 > more", "61 < three", at=2, path="/ws"),
        ask(3, "POST", "/v1/chat", '{"q":2}', at=200, answer=[(5, "c")]),
    )
    pair = Pair(tape, pace=pace)
    pair.run()
    assert not pair.refusals
    assert not pair.servers.tally.unplayed
    assert len(pair.servers.tally.served) == 3
    assert not pair.servers.tally.unfinished
    said = [heard.event for heard in pair.heard]
    recorded = [event for stream in (1, 2, 3) for event in tape.events(stream)][0:]
    assert sorted(map(repr, said)) == sorted(repr(event) for event in recorded if type(event).__name__ != "Opened")


def test_recorded_pace_keeps_every_offset() -> None:
    tape = cassette(chat(1, "3 < hello", "20 > go", "25 < one", "30 < two"))
    pair = Pair(tape)
    pair.run()
    assert [(heard.at_us, word(heard.event)) for heard in pair.heard if isinstance(heard.event, Message)] == [
        (3_000, "hello"),
        (20_000, "go"),
        (25_000, "one"),
        (30_000, "two"),
    ]


def test_a_step_is_due_its_distance_after_its_gate_not_at_an_absolute_offset() -> None:
    stage = Stage(cassette(chat(1, "3 < hello", "20 > go", "25 < one", "30 < two")))
    stage.connect()
    assert stage.until(700) == ["1 101", "3 hello"]
    assert stage.say("go") == []
    assert stage.until(800) == ["705 one", "710 two"]


def test_instant_pace_says_all_that_the_gate_allows_at_once() -> None:
    stage = Stage(cassette(chat(1, "3 < hello", "20 > go", "25 < one", "30 < two")), pace=Pace(factor=0))
    stage.connect()
    assert stage.until(0) == ["0 101", "0 hello"]
    assert stage.say("go") == ["one", "two"]


def test_cap_shortens_single_distances() -> None:
    stage = Stage(cassette(ask(1, "GET", "/", answer=[(100, "a"), (103, "b"), (900, "c")])), pace=Pace(cap_us=10_000))
    stage.ask("GET", "/")
    assert stage.until(1000) == ["10 200", "10 a", "13 b", "23 c", "23 end", "23 over"]


def test_client_messages_between_two_server_messages_may_come_in_any_order() -> None:
    stage = Stage(cassette(chat(1, "10 > a", "11 > b", "20 < both")), pace=Pace(factor=0))
    stage.connect()
    stage.until(0)
    assert stage.say("b") == []
    assert stage.say("a") == ["both"]


def test_an_early_client_message_is_accepted_and_its_answer_waits_for_the_turn_before() -> None:
    stage = Stage(cassette(chat(1, "10 > a", "20 < A", "30 > b", "40 < B")))
    stage.connect()
    stage.until(5)
    stage.say("a")
    stage.say("b")
    assert stage.until(100) == ["15 A", "15 B"]


def test_a_differing_client_message_is_refused_with_the_place_and_the_rule() -> None:
    stage = Stage(cassette(chat(1, '10 > {"city":"Rome"}', "20 < sunny")), pace=Pace(factor=0))
    stage.connect()
    stage.until(0)
    assert stage.say('{"city":"London"}') == ["refused 4409 mismatch"]
    (miss,) = stage.player.tally.missed
    assert miss.nearest == "tape#1"
    assert [(item.place, item.recorded, item.live) for item in miss.differences] == [("message.city", "Rome", "London")]
    assert 'at = "message.city"' in miss.rule


def test_ids_and_times_of_a_message_do_not_decide() -> None:
    stage = Stage(
        cassette(chat(1, '10 > {"id":"0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5","timestamp":1758100000.1}', "20 < ok")),
        pace=Pace(factor=0),
    )
    stage.connect()
    stage.until(0)
    assert stage.say('{"id":"7f6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5","timestamp":1799999999.9}') == ["ok"]


def test_a_message_beyond_the_recording_is_refused() -> None:
    stage = Stage(cassette(chat(1, "10 > a", "20 < A", close=None)), pace=Pace(factor=0))
    stage.connect()
    stage.until(0)
    stage.say("a")
    assert stage.say("b") == ["refused 4404 beyond"]


def test_a_silent_client_is_refused_when_patience_is_over_counted_from_when_it_was_due() -> None:
    stage = Stage(cassette(chat(1, "500 > a", "501 < A")), patience_ms=1000)
    stage.connect()
    assert stage.until(1499) == ["1 101"]
    assert stage.until(1501) == ["1500 refused 4408 stall"]


def test_the_recorded_farewell_answers_a_close() -> None:
    stage = Stage(cassette(chat(1, "10 < hi", close=(CLIENT, 1001))), pace=Pace(factor=0))
    stage.connect()
    stage.until(0)
    close = Close(at_us=0, stream=1, side=CLIENT, code=1001)
    assert words(stage.player.receive(0, 1, close)) == ["close 1001", "over"]


def test_a_client_that_only_has_to_say_goodbye_may_take_its_time() -> None:
    stage = Stage(cassette(chat(1, "5 > go", "6 < done", close=(CLIENT, 1000))), patience_ms=100)
    stage.connect()
    stage.until(1)
    stage.say("go")
    assert stage.until(3_600_000) == ["2 done"]
    assert stage.player.tally.missed == ()


def test_a_farewell_with_another_code_is_a_farewell() -> None:
    stage = Stage(cassette(chat(1, "10 < hi", close=(CLIENT, 1000))), pace=Pace(factor=0))
    stage.connect()
    stage.until(0)
    close = Close(at_us=0, stream=1, side=CLIENT, code=1001)
    assert words(stage.player.receive(0, 1, close)) == ["close 1000", "over"]
    stage.player.leave(0, 1)
    assert stage.player.tally.unfinished == ()


def test_an_early_close_is_answered_at_once_and_counted_as_unfinished() -> None:
    stage = Stage(cassette(chat(1, "10 > a", "20 < A", "30 < B")))
    stage.connect()
    stage.until(5)
    close = Close(at_us=0, stream=1, side=CLIENT, code=1000)
    assert words(stage.player.receive(stage.now_us, 1, close)) == ["close 1000", "over"]
    stage.player.leave(stage.now_us, 1)
    assert stage.player.tally.unfinished == ("tape#1",)


def test_a_server_close_ends_the_conversation() -> None:
    stage = Stage(cassette(chat(1, "10 < hi", close=(SERVER, 4001))), pace=Pace(factor=0))
    stage.connect()
    assert stage.until(0) == ["0 101", "0 hi", "0 close 4001", "0 over"]


def test_an_aborted_answer_is_aborted_again() -> None:
    events = ask(1, "GET", "/", answer=[(5, "half")])[:-1]
    events.append(Gone(at_us=6_000, stream=1, side=Side.SERVER, how=How.RESET))
    stage = Stage(cassette(events), pace=Pace(factor=0))
    stage.ask("GET", "/")
    assert stage.until(0) == ["0 200", "0 half", "0 gone", "0 broken off"]


def test_equal_requests_are_answered_in_recorded_order_and_then_refused() -> None:
    tape = cassette(
        ask(1, "POST", "/poll", answer=[(1, "first")]),
        ask(2, "POST", "/poll", answer=[(1, "second")], at=10),
    )
    stage = Stage(tape, pace=Pace(factor=0))
    labels = [
        outcome.label
        for outcome in (stage.ask("POST", "/poll"), stage.ask("POST", "/poll"))
        if isinstance(outcome, Claim)
    ]
    assert labels == ["tape#1", "tape#2"]
    refused = stage.ask("POST", "/poll")
    assert isinstance(refused, Refusal)
    assert (refused.kind, refused.close_code) == ("used-up", 4410)


def test_a_literally_equal_recording_wins_over_the_first_canonically_equal_one() -> None:
    one, two = "0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5", "7f6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5"
    tape = cassette(
        ask(1, "POST", "/", f'{{"id":"{one}"}}'),
        ask(2, "POST", "/", f'{{"id":"{two}"}}', at=10),
    )
    stage = Stage(tape)
    outcome = stage.ask("POST", "/", f'{{"id":"{two}"}}')
    assert isinstance(outcome, Claim)
    assert outcome.label == "tape#2"


def test_an_answer_of_which_nothing_was_said_is_free_again_when_the_client_leaves() -> None:
    stage = Stage(cassette(ask(1, "GET", "/", answer=[(50, "late")])))
    assert isinstance(stage.ask("GET", "/"), Claim)
    stage.player.leave(1000, 1)
    assert isinstance(stage.ask("GET", "/"), Claim)


def test_a_recording_with_an_owner_is_served_to_that_owner_only() -> None:
    tape = cassette(chat(1, "5 < for alice", owner="alice"), chat(2, "5 < for bob", owner="bob"))
    stage = Stage(tape, pace=Pace(factor=0))
    stage.connect(owner="bob")
    assert stage.until(0)[1] == "0 for bob"
    for stranger in ("eve", None):
        refused = stage.connect(owner=stranger)
        assert isinstance(refused, Refusal)
        assert refused.kind == "owner"
    again = stage.connect(owner="bob")
    assert isinstance(again, Refusal)
    assert again.kind in ("used-up", "owner")


def test_two_clients_with_one_recording_never_share_it() -> None:
    stage = Stage(cassette(chat(1, "5 < hi")))
    assert isinstance(stage.connect(), Claim)
    refused = stage.connect()
    assert isinstance(refused, Refusal)
    assert refused.kind == "used-up"


def test_the_first_client_message_chooses_between_recordings_that_begin_alike() -> None:
    tape = cassette(
        chat(1, "5 < welcome", "10 > rome", "20 < sunny"),
        chat(2, "5 < welcome", "10 > oslo", "20 < snow"),
    )
    stage = Stage(tape, pace=Pace(factor=0))
    assert isinstance(stage.connect(), Pending)
    assert isinstance(stage.connect(), Pending)
    stage.until(0)
    assert stage.say("oslo", live=1) == ["snow"]
    assert stage.say("oslo", live=2)[0].startswith("refused")


def test_a_client_keeps_the_ids_it_was_told_before_its_recording_was_chosen() -> None:
    one, two = "0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5", "7f6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5"

    def talk(stream: int, own: str, city: str, answer: str) -> list[Event]:
        return chat(
            stream,
            f'5 < {{"type":"welcome","connection_id":"{own}"}}',
            f'10 > {{"city":"{city}"}}',
            f'20 < {{"connection_id":"{own}","answer":"{answer}"}}',
        )

    tape = cassette(talk(1, one, "Rome", "sunny"), talk(2, two, "Oslo", "snow"))
    stage = Stage(tape, pace=Pace(factor=0))
    assert isinstance(stage.connect(), Pending)
    assert stage.until(0)[1] == f'0 {{"type":"welcome","connection_id":"{one}"}}'
    assert stage.say('{"city":"Oslo"}') == [f'{{"connection_id":"{one}","answer":"snow"}}']
    assert stage.player.tally.served == ("tape#2",)


def test_recordings_that_part_before_the_client_speaks_are_ambiguous() -> None:
    stage = Stage(cassette(chat(1, "5 < hello alice"), chat(2, "5 < hello bob")), pace=Pace(factor=0))
    assert isinstance(stage.connect(), Pending)
    assert stage.until(0) == ["0 101", "0 refused 4404 ambiguous"]


@pytest.mark.parametrize(
    ("path", "protocols"),
    [("/other", b"jwt-auth"), ("/ws?mode=factory", b"jwt-auth"), ("/ws", b"bearer"), ("/ws", b"")],
)
def test_path_query_and_subprotocol_must_agree(path: str, protocols: bytes) -> None:
    offered = ((b"Sec-WebSocket-Protocol", b"jwt-auth"),)
    stage = Stage(cassette(chat(1, "5 < hi", headers=offered)))
    headers = ((b"Sec-WebSocket-Protocol", protocols),) if protocols else ()
    assert isinstance(stage.connect(path, headers=headers), Refusal)
    assert isinstance(stage.connect("/ws", headers=offered), Claim)


def test_a_path_in_two_roles_is_ambiguous_until_something_decides() -> None:
    tape = cassette(ask(1, "GET", "/health", role="a"), ask(2, "GET", "/health", role="b"))
    stage = Stage(tape)
    refused = stage.ask("GET", "/health")
    assert isinstance(refused, Refusal)
    assert refused.kind == "ambiguous"


def test_a_miss_names_the_nearest_recording_and_a_rule_that_heals_it() -> None:
    tape = cassette(
        ask(1, "POST", "/v1", '{"q":"x","trace":"first"}'), ask(2, "POST", "/v1", '{"q":"y","trace":"b"}', at=9)
    )
    refused = Stage(tape).ask("POST", "/v1", '{"q":"x","trace":"second"}')
    assert isinstance(refused, Refusal)
    assert refused.nearest == "tape#1"
    assert [item.place for item in refused.differences] == ["body.trace"]
    import tomllib

    rules = Rules.from_plain(tomllib.loads(refused.rule), source="pasted")
    script = compile(tape, server_cast(tape), rules)
    player = Player([("tape", script)])
    head = RequestHead(
        at_us=0,
        stream=1,
        side=CLIENT,
        method=b"POST",
        target=b"/v1",
        version=b"HTTP/1.1",
        headers=((b"Content-Type", b"application/json"),),
    )
    body = b'{"q":"x","trace":"second"}'
    assert isinstance(player.open(0, 1, Request(protocol=Protocol.HTTP, role=None, head=head, body=body)), Claim)


def test_a_hundred_nameless_clients_in_any_order_each_get_the_recording_they_speak_for() -> None:
    many = 100
    tape = cassette(*(chat(n, "1 < welcome", f"2 > I am {n}", f"3 < secret of {n}") for n in range(1, many + 1)))
    stage = Stage(tape, pace=Pace(factor=0))
    assert all(isinstance(stage.connect(), Pending) for _ in range(many))
    stage.until(0)
    order = [(n * 37) % many + 1 for n in range(many)]
    for live, who in enumerate(order, 1):
        assert stage.say(f"I am {who}", live=live)[0] == f"secret of {who}"
    refused = stage.connect()
    assert isinstance(refused, Refusal)
    assert refused.kind == "used-up"
