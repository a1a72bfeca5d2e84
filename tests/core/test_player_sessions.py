"""Whole conversations as one client lives them: numbers, heartbeats, addresses, times, owners and polls."""

from __future__ import annotations

import json

import pytest
from dialogue import ask, cassette, chat
from staged import Stage

from gp_replay.core.acts import Claim, Pending
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Event, Piece
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
    stage.until(1)
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


def test_an_id_that_two_recordings_share_is_each_clients_own() -> None:
    """Recorded by one program with one id of its own, replayed to two."""

    def user(stream: int, city: str, weather: str) -> list[Event]:
        said, told = obj(client=ONE, t="hello"), obj(client=ONE, a=weather)
        return chat(stream, "5 > " + said, "6 < ok", f"10 > {city}", "20 < " + told)

    stage = Stage(cassette(user(1, "rome", "sunny"), user(2, "oslo", "snow")), pace=INSTANT)
    for live in ("a", "b"):
        stage.connect(headers=((b"X-Live", live.encode()),))
    stage.until(1)
    assert stage.say(obj(client=TWO, t="hello"), 1) == ["ok"]
    assert stage.say(obj(client=THREE, t="hello"), 2) == ["ok"]
    assert stage.say("rome", 1) == [obj(client=TWO, a="sunny")]
    assert stage.say("oslo", 2) == [obj(client=THREE, a="snow")]


def test_an_id_that_the_server_says_to_everybody_is_said_to_everybody() -> None:
    first, then = obj(assistant=ONE), obj(by=ONE)
    stage = Stage(
        cassette(*(chat(n, f"5 < {first}", f"10 > {city}", f"20 < {then}") for n, city in ((1, "rome"), (2, "oslo")))),
        pace=INSTANT,
    )
    stage.connect()
    stage.connect()
    assert [line for line in stage.until(1) if "assistant" in line] == [f"0 {first}"] * 2
    assert stage.say("oslo", 1) == [then]
    assert stage.say("rome", 2) == [then]


def test_ids_bound_while_nobody_was_chosen_are_kept_under_bound_owners() -> None:
    def user(stream: int, run: str, city: str, owner: str) -> list[Event]:
        return chat(stream, "5 > " + obj(run=run, t=city), "6 < " + obj(run=run), owner=owner)

    stage = Stage(
        cassette(user(1, ONE, "rome", "alice"), user(2, TWO, "oslo", "bob")),
        terms=Terms(pace=INSTANT, bind_owners=True),
    )
    stage.connect(owner="carol")
    stage.until(1)
    assert stage.say(obj(run=THREE, t="rome")) == [obj(run=THREE)]


def test_a_client_is_not_somebody_because_nobody_else_is_left() -> None:
    def user(stream: int, name: str) -> list[Event]:
        return chat(stream, "5 > hi", "6 < hi", f"10 > I am {name}", f"20 < secret of {name}")

    stage = Stage(cassette(user(1, "ada"), user(2, "bob")), pace=INSTANT)
    for live in (1, 2):
        assert isinstance(stage.connect(), Pending)
        stage.until(1)
        assert stage.say("hi", live) == ["hi"]
        answer = stage.say("I am bob", live)
        assert answer == (["secret of bob"] if live == 1 else ["refused 4410 used-up"])
    assert isinstance(stage.connect(), Pending)
    stage.until(2)
    assert stage.say("hi", 3) == ["hi"]
    assert stage.say("I am ada", 3) == ["secret of ada"]


def test_a_second_client_with_the_same_name_does_not_get_the_one_that_is_left() -> None:
    named = [((b"X-User", name),) for name in (b"alice", b"bob")]
    stage = Stage(cassette(*(chat(n, f"5 < hello {n}", headers=headers) for n, headers in enumerate(named, 1))))
    assert isinstance(stage.connect(headers=named[1]), Claim)
    refused = stage.connect(headers=named[1])
    assert isinstance(refused, Refusal)
    assert refused.kind == "used-up"


def test_a_request_that_was_given_up_before_its_answer_leaves_nothing_behind() -> None:
    stage = Stage(cassette(ask(1, "POST", "/v", obj(id=ONE), answer=[(50, obj(of=ONE))])))
    assert isinstance(stage.ask("POST", "/v", obj(id=TWO)), Claim)
    stage.player.leave(0, stage.lives)
    assert body(stage.ask("POST", "/v", obj(id=THREE))) == obj(of=THREE)


def test_a_short_name_is_an_owner_only_where_it_stands_alone() -> None:
    answer = '{"user":"1","page":1,"path":"/users/1/x","at":"10:1"}'
    stage = Stage(
        cassette(ask(1, "GET", "/users/1", answer=[(1, answer)], owner="1")),
        terms=Terms(pace=INSTANT, bind_owners=True),
    )
    said = body(stage.ask("GET", "/users/7", owner="7"))
    assert said == '{"user":"7","page":1,"path":"/users/7/x","at":"10:1"}'


def test_a_greeting_by_name_does_not_part_recordings_under_bound_owners() -> None:
    stage = Stage(
        cassette(
            *(
                chat(n, f"5 < hello {name}", f"9 > {n}", f"10 < {name} {n}", owner=name)
                for n, name in ((1, "alice"), (2, "bobby"))
            )
        ),
        terms=Terms(pace=INSTANT, bind_owners=True),
    )
    stage.connect(owner="carol")
    assert stage.until(1)[1:] == ["0 hello carol"]
    assert stage.say("2") == ["carol 2"]


def test_what_would_decide_is_named_wherever_it_stands() -> None:
    later = [("a", "x", "same"), ("a", "y", "same"), ("a", "x", "other")]
    stage = Stage(
        cassette(
            *(
                chat(n, f"5 < hi {n}", *(f"{9 + k} > {text}" for k, text in enumerate(texts)))
                for n, texts in enumerate(later, 1)
            )
        ),
        pace=INSTANT,
    )
    stage.connect()
    assert stage.until(1)[-1] == "0 refused 4404 ambiguous"
    (refusal,) = stage.player.tally.missed
    assert refusal.differences[0].place == "message"
    assert "'x' or 'y'" in refusal.differences[0].recorded or "x or y" in refusal.differences[0].recorded
