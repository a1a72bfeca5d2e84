"""Whole conversations as one client lives them: numbers, heartbeats, addresses, times, owners and polls."""

from __future__ import annotations

import json

import pytest
from dialogue import ask, cassette, chat
from staged import Stage

from gp_replay.core.acts import Claim, Pending
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Piece
from gp_replay.core.terms import OnRepeat, Terms
from gp_replay.core.timing import Pace

ONE, TWO, THREE = (f"{digit}b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5" for digit in "012")
INSTANT = Pace(factor=0)


def obj(**members: object) -> str:
    return json.dumps(members, separators=(",", ":"))


def body(outcome: object) -> str:
    assert isinstance(outcome, Claim), outcome
    return b"".join(step.event.data for step in outcome.script.steps if isinstance(step.event, Piece)).decode()


def test_parallel_requests_are_answered_in_any_order_each_under_its_own_number() -> None:
    stage = Stage(
        cassette(
            chat(
                1,
                '10 > {"jsonrpc":"2.0","id":1,"method":"slow"}',
                '11 > {"jsonrpc":"2.0","id":2,"method":"fast"}',
                '20 < {"jsonrpc":"2.0","id":2,"result":"F"}',
                '90 < {"jsonrpc":"2.0","id":1,"result":"S"}',
            )
        ),
        pace=INSTANT,
    )
    stage.connect()
    stage.until(1)
    assert stage.say('{"jsonrpc":"2.0","id":70,"method":"fast"}') == ['{"jsonrpc":"2.0","id":70,"result":"F"}']
    assert stage.say('{"jsonrpc":"2.0","id":71,"method":"slow"}') == ['{"jsonrpc":"2.0","id":71,"result":"S"}']


def test_a_reply_waits_for_its_request_only_and_other_messages_for_all_before_them() -> None:
    stage = Stage(
        cassette(
            chat(
                1,
                '10 > {"id":1,"method":"Page.enable"}',
                '12 > {"id":2,"method":"Page.navigate"}',
                '20 < {"id":1,"result":{}}',
                '30 < {"method":"Page.loaded"}',
                '40 < {"id":2,"result":{"frame":"x"}}',
            )
        ),
        pace=INSTANT,
    )
    stage.connect()
    stage.until(1)
    assert stage.say('{"id":2,"method":"Page.navigate"}') == ['{"id":2,"result":{"frame":"x"}}']
    assert stage.say('{"id":1,"method":"Page.enable"}') == ['{"id":1,"result":{}}', '{"method":"Page.loaded"}']


def test_a_subscription_that_the_client_completes_is_known_by_its_live_id() -> None:
    def query(operation: str) -> str:
        return obj(id=operation, type="subscribe", payload={"query": "q"})

    stage = Stage(
        cassette(
            chat(
                1,
                "5 > " + query(ONE),
                "6 < " + obj(id=ONE, type="next", payload={"n": 1}),
                "8 > " + obj(id=ONE, type="complete"),
                "9 < bye",
            )
        ),
        pace=INSTANT,
    )
    stage.connect()
    stage.until(1)
    assert stage.say(query(TWO)) == [obj(id=TWO, type="next", payload={"n": 1})]
    assert stage.say(obj(id=TWO, type="complete")) == ["bye"]


def test_an_id_that_looks_like_a_number_of_a_protocol_is_bound_all_the_same() -> None:
    stage = Stage(
        cassette(chat(1, "5 > " + obj(type="start", id=ONE), "6 < " + obj(type="agent_started", run_id=ONE))),
        pace=INSTANT,
    )
    stage.connect()
    stage.until(1)
    assert stage.say(obj(type="start", id=TWO)) == [obj(type="agent_started", run_id=TWO)]


@pytest.mark.parametrize("pace", [Pace(), INSTANT, Pace(factor=3)], ids=str)
def test_a_heartbeat_comes_on_its_period_in_real_time_while_the_connection_lives(pace: Pace) -> None:
    tape = cassette(
        chat(1, "5 < hello", "1001 < ping", "1002 > pong", "2001 < ping", "2003 > pong", "2500 > go", "2501 < on")
    )
    stage = Stage(tape, pace=pace, patience_ms=10_000)
    stage.connect()
    said = stage.until(4_900)
    assert [round(float(line.split()[0]), -1) for line in said if line.endswith("ping")] == [1000, 2000, 3000, 4000]
    assert stage.say("pong") == []
    assert stage.say("go")[-1:] == (["on"] if pace == INSTANT else [])
    assert not stage.player.tally.missed


def test_a_heartbeat_of_the_client_is_answered_as_recorded_however_often_it_comes() -> None:
    tape = cassette(chat(1, '5 > {"type":"ping","ts":1}', '6 < {"type":"pong"}', "10 > go", "11 < on"))
    stage = Stage(tape, pace=INSTANT)
    stage.connect()
    stage.until(1)
    for number in range(3):
        assert stage.say(json.dumps({"ts": number, "type": "ping"})) == ['{"type":"pong"}']
    assert stage.say("go") == ["on"]


def test_our_own_address_is_said_live_and_heard_as_recorded() -> None:
    url = "http://default.test/jobs/next"
    stage = Stage(
        cassette(
            ask(1, "POST", "/jobs", "{}", answer=[(1, json.dumps({"next": url}))]),
            ask(2, "POST", "/follow", json.dumps({"url": url}), answer=[(1, "followed")]),
        ),
        base="127.0.0.1:8080/jobs-api",
    )
    told = json.loads(body(stage.ask("POST", "/jobs", "{}")))["next"]
    assert told == "http://127.0.0.1:8080/jobs-api/jobs/next"
    assert body(stage.ask("POST", "/follow", json.dumps({"url": told}))) == "followed"


def test_rebased_times_come_back_in_a_history_and_are_known() -> None:
    stage = Stage(
        cassette(
            ask(1, "POST", "/chat", '["hi"]', answer=[(1, '"It is 2026-11-25T10:00:07.250Z now"')]),
            ask(2, "POST", "/chat", '["hi","It is 2026-11-25T10:00:07.250Z now"]', answer=[(1, '"indeed"')], at=50),
        ),
        terms=Terms(pace=INSTANT, rebase=True, started_us=1_900_000_000_123_456),
    )
    said = json.loads(body(stage.ask("POST", "/chat", '["hi"]')))
    assert said.startswith("It is 2030-")
    assert body(stage.ask("POST", "/chat", json.dumps(["hi", said]))) == '"indeed"'


def test_an_unknown_owner_takes_one_recorded_owner_and_nobody_else_does() -> None:
    stage = Stage(
        cassette(
            chat(1, "5 > rome", '6 < {"user":"alice","text":"sunny"}', owner="alice"),
            chat(2, "5 > oslo", '6 < {"user":"alice","text":"snow"}', owner="alice"),
        ),
        terms=Terms(pace=INSTANT, bind_owners=True),
    )
    assert isinstance(stage.connect(owner="carol"), Pending)
    assert isinstance(stage.connect(owner="dave"), Pending)
    stage.until(1)
    assert stage.say("rome", 1) == ['{"user":"carol","text":"sunny"}']
    assert stage.say("oslo", 2) == ["refused 4410 used-up"]
    assert isinstance(stage.connect(owner="carol"), Claim | Pending)
    refused = stage.connect(owner="erin")
    assert isinstance(refused, Refusal)
    assert refused.kind == "owner"


def test_a_bound_owners_name_is_read_as_the_recorded_one() -> None:
    stage = Stage(
        cassette(ask(1, "POST", "/users/alice", '{"user":"alice"}', answer=[(1, '{"of":"alice"}')], owner="alice")),
        terms=Terms(pace=INSTANT, bind_owners=True),
    )
    assert isinstance(stage.ask("POST", "/users/bob", '{"user":"bill"}', owner="bob"), Refusal)
    assert body(stage.ask("POST", "/users/bob", '{"user":"bob"}', owner="bob")) == '{"of":"bob"}'


def test_an_id_in_a_path_is_literal_unless_we_made_it() -> None:
    stage = Stage(
        cassette(
            ask(1, "POST", "/threads", "{}", answer=[(1, obj(id=ONE))]),
            ask(2, "GET", f"/threads/{ONE}", answer=[(1, obj(thread=ONE))]),
            ask(3, "GET", f"/assistants/{THREE}", answer=[(1, "yours")]),
        ),
        terms=Terms(pace=INSTANT, fresh_ids=True, seed=b"s"),
    )
    made = json.loads(body(stage.ask("POST", "/threads", "{}")))["id"]
    assert made != ONE
    assert isinstance(stage.ask("GET", f"/threads/{ONE}"), Refusal)
    assert json.loads(body(stage.ask("GET", f"/threads/{made}"))) == {"thread": made}
    assert isinstance(stage.ask("GET", f"/assistants/{TWO}"), Refusal)
    assert body(stage.ask("GET", f"/assistants/{THREE}")) == "yours"


def test_a_session_id_from_an_http_answer_must_come_back_in_the_query_of_a_connection() -> None:
    stage = Stage(
        cassette(
            ask(1, "POST", "/login", "{}", answer=[(1, obj(sid=ONE))]),
            ask(2, "POST", "/login", "{}", answer=[(1, obj(sid=TWO))], at=5),
            chat(3, "5 < hello one", path=f"/ws?sid={ONE}", at=10),
            chat(4, "5 < hello two", path=f"/ws?sid={TWO}", at=10),
        ),
        pace=INSTANT,
    )
    first, second = (json.loads(body(stage.ask("POST", "/login", "{}")))["sid"] for _ in range(2))
    stage.until(5)
    assert isinstance(stage.connect(f"/ws?sid={THREE}"), Refusal)
    stage.connect(f"/ws?sid={second}")
    assert stage.until(9)[1:] == ["5 hello two"]
    stage.connect(f"/ws?sid={first}")
    assert stage.until(20)[1:] == ["9 hello one"]


def test_an_id_that_deltas_cut_is_the_clients_own() -> None:
    order = "order_4f9Qx7Lm2"
    cut = ["ord", "er_4f9", "Qx7Lm2", " is late"]
    events = "".join(f'data: {{"delta":{json.dumps(part)}}}\n\n|' for part in cut).split("|")
    stage = Stage(
        cassette(
            ask(
                1,
                "POST",
                "/chat",
                json.dumps({"tool": {"order_id": order}}),
                answer=[(number, event) for number, event in enumerate(events) if event],
                answer_headers=((b"Content-Type", b"text/event-stream"), (b"Transfer-Encoding", b"chunked")),
            )
        ),
        pace=INSTANT,
    )
    said = body(stage.ask("POST", "/chat", json.dumps({"tool": {"order_id": "order_Zz81kQp0Lm42"}})))
    deltas = [json.loads(line.removeprefix("data: "))["delta"] for line in said.split("\n\n") if line]
    assert "".join(deltas) == "order_Zz81kQp0Lm42 is late"
    assert len(deltas) == len(cut)


def test_a_poll_repeats_its_last_answer_and_the_receipt_counts_it() -> None:
    stage = Stage(cassette(ask(1, "GET", "/p", answer=[(1, "a")]), ask(2, "GET", "/p", answer=[(1, "b")], at=9)))
    assert [body(stage.ask("GET", "/p")) for _ in range(4)] == ["a", "b", "b", "b"]
    assert stage.player.tally.repeated == (("tape#2", 2),)


@pytest.mark.parametrize(
    ("on_repeat", "answers"), [(OnRepeat.LAST, ["a", "b", "b", "b"]), (OnRepeat.CYCLE, ["a", "b", "a", "b"])]
)
def test_other_repeats_follow_the_terms(on_repeat: OnRepeat, answers: list[str]) -> None:
    stage = Stage(
        cassette(ask(1, "POST", "/p", "{}", answer=[(1, "a")]), ask(2, "POST", "/p", "{}", answer=[(1, "b")], at=9)),
        terms=Terms(on_repeat=on_repeat),
    )
    assert [body(stage.ask("POST", "/p", "{}")) for _ in range(4)] == answers


def test_a_polls_answer_waits_for_the_request_with_its_id_that_came_between() -> None:
    stage = Stage(
        cassette(
            ask(1, "GET", f"/poll?sid={ONE}", answer=[(1, "hello")]),
            ask(2, "GET", f"/poll?sid={ONE}", answer=[(200, "done")], at=10),
            ask(3, "POST", f"/poll?sid={ONE}", '"go"', answer=[(1, "ok")], at=190),
        )
    )
    stage.ask("GET", f"/poll?sid={ONE}")
    stage.until(5)
    stage.ask("GET", f"/poll?sid={ONE}")
    assert stage.until(5_000) == []
    stage.ask("POST", f"/poll?sid={ONE}", '"go"')
    assert "5020 done" in stage.until(6_000)


def test_an_unplayable_recording_does_not_hide_the_next_one() -> None:
    broken = [event for event in ask(1, "POST", "/x", "{}") if event.side.name == "CLIENT"]
    stage = Stage(cassette(broken, ask(2, "POST", "/x", "{}", answer=[(1, "good")], at=9)))
    assert body(stage.ask("POST", "/x", "{}")) == "good"
