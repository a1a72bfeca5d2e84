"""The engine: which conversations it judges, when it says what, and contracts of one's own."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from conversations import CLIENT, GOLDEN, RUN, SERVER, WELCOME, Line, check, findings, rules, spoken
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.contracts.checking import Checker
from gp_replay.contracts.contract import Contract
from gp_replay.contracts.contract_reading import contract_from
from gp_replay.contracts.said import What, said_in
from gp_replay.core.model import Side
from gp_replay.store import CassetteFile

CASSETTES = Path(__file__).resolve().parents[2] / "cassettes"


@pytest.mark.parametrize(("name", "connections"), [("agent-one-user", 1), ("agent-two-users", 2)])
def test_the_recorded_agent_conversations_keep_the_golden_path(name: str, connections: int) -> None:
    checker = Checker(GOLDEN, source=name)
    with CassetteFile.open(CASSETTES / f"{name}.gpr") as cassette:
        found = [finding for said in said_in(cassette) for finding in checker.feed(said)]
    assert found + checker.finish() == []
    assert (checker.connections, checker.skipped) == (connections, 0)
    assert checker.messages > 50 * connections


@pytest.mark.parametrize("name", ["responses-ws", "socketio-websocket"])
def test_conversations_of_other_protocols_are_left_alone(name: str) -> None:
    checker = Checker(GOLDEN, source=name)
    with CassetteFile.open(CASSETTES / f"{name}.gpr") as cassette:
        assert [finding for said in said_in(cassette) for finding in checker.feed(said)] + checker.finish() == []
    assert (checker.connections, checker.messages, checker.skipped) == (0, 0, 1)


def test_a_finding_comes_with_the_message_that_makes_it() -> None:
    talk = spoken(WELCOME, *RUN, "95 < agent_thinking run_id=r1 reasoning=More")
    checker = Checker(GOLDEN)
    found = [(said.what, said.index) for said in talk.said() if checker.feed(said)]
    assert found == [(What.MESSAGE, 5)]
    assert checker.finish() == []


def test_what_is_missing_is_said_at_the_end_once() -> None:
    talk = spoken(WELCOME, RUN[0], end=())
    checker = Checker(GOLDEN)
    assert [finding for said in talk.said() for finding in checker.feed(said)] == []
    assert [finding.rule for finding in checker.finish()] == ["request.answered"]
    assert checker.finish() == []


def test_findings_are_held_until_it_is_known_whose_conversation_it_is() -> None:
    talk = spoken("3 > ping", WELCOME, "9 < pong")
    checker = Checker(GOLDEN)
    found = [(said.what, [finding.rule for finding in checker.feed(said)]) for said in talk.said()]
    assert [rules for what, rules in found if what is What.MESSAGE] == [[], ["HS-2"], []]


def test_an_error_and_a_close_alone_are_a_conversation_of_the_contract() -> None:
    talk = spoken("5 < error_message error_code=AUTH_FAILED", end=((SERVER, 1008),))
    assert rules(talk) == ["HS-3", "connection_established.missing"]


def test_what_is_said_after_the_end_or_before_the_opening_is_not_taken() -> None:
    everything = spoken(WELCOME).said()
    checker = Checker(GOLDEN)
    for said in [everything[2], *everything, everything[2]]:
        assert checker.feed(said) == []
    assert (checker.connections, checker.messages) == (1, 1)


def test_a_message_that_is_no_object_is_found_among_the_servers() -> None:
    everything = spoken(WELCOME, "9 < x", "9 > x").said()
    text = [replace(said, message=None, raw=b"{", kind="text") if said.index else said for said in everything]
    assert [(found.rule, found.message) for found in check(text)] == [("message.object", 1)]


def test_a_replay_is_not_judged_by_its_pace() -> None:
    slow = spoken(*(f"{int(line.split()[0]) * 1000} {line.split(maxsplit=1)[1]}" for line in (WELCOME, *RUN)))
    assert [found.rule for found in findings([slow])] == [
        *("limit.connect", "limit.first_event", "limit.gap", "limit.run")
    ]
    assert findings([slow], timed=False) == []


KINDS = [kind for event in GOLDEN.events for kind in event.types] + ["reasoning", "", None, 7]
NAMES = [
    "run_id",
    "agent_name",
    "agent",
    "tool",
    "execution_id",
    "user_id",
    "connection_id",
    "data",
    "payload",
    "error",
]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=20) | st.sampled_from(["r1", "alice", "ali..."]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.sampled_from([CLIENT, SERVER]),
        st.sampled_from(KINDS),
        st.dictionaries(st.sampled_from([*NAMES, "thread_id", "details", "results", "timestamp", "metadata"]), ODD),
    ),
    max_size=12,
)


@pytest.mark.slow
@given(MESSAGES)
def test_whatever_is_said_is_judged_and_every_finding_can_be_written(
    messages: list[tuple[int, Side, object, dict[str, object]]],
) -> None:
    talks = {number: spoken(connection=number, owner=owner) for number, owner in ((1, "alice"), (2, None))}
    for at_us, (number, side, kind, body) in enumerate(messages, start=3_000):
        talks[number].lines.append(Line(at_us=at_us, side=side, body={"type": kind, **body}))
    for found in findings(talks.values()):
        assert orjson.dumps(found.plain())
        assert all((found.rule, found.expected, found.came, found.fix))


SHOP = """
name = "shop"
[fields]
order = "order_id"
clerk = "clerk"
[events.placed]
error = ["order_id"]
[events.paid]
[events.closed]
from = "client"
[[rules]]
event = "placed"
per = "order"
first = true
at_most = 1
[[rules]]
event = "paid"
per = "order"
at_least = 1
last = true
[[rules]]
event = "closed"
at_least = 1
level = "warning"
[limits.pay]
start = "placed"
end = "paid"
seconds = 1
"""


def shop(text: str = SHOP) -> Contract:
    return contract_from(tomllib.loads(text), source="shop")


def test_a_contract_of_ones_own_over_any_field() -> None:
    fine = (
        "10 < placed order_id=1",
        "11 < placed order_id=2",
        "20 < paid order_id=2",
        "30 < paid order_id=1",
        "40 > closed",
    )
    assert rules(spoken(*fine), contract=shop()) == []
    assert rules(spoken(*fine[:3], fine[4]), contract=shop()) == ["paid.missing"]
    assert rules(spoken(*fine[:4]), contract=shop()) == ["closed.missing"]
    assert rules(spoken(*fine, "50 < placed order_id=3", "60 < placed order_id=3"), contract=shop()) == [
        *("placed.count", "paid.missing")
    ]
    assert rules(spoken("10 < paid order_id=1", "20 > closed"), contract=shop()) == ["placed.first"]
    late = ("10 < placed order_id=1", "1500 < paid order_id=1", "1501 > closed")
    assert rules(spoken(*late), contract=shop()) == ["limit.pay"]


def test_a_contract_of_events_alone_judges_their_fields() -> None:
    only = shop('name = "x"\n[events.placed]\nerror = ["order_id"]\n')
    assert rules(spoken("10 < placed"), contract=only) == ["placed.fields"]
    assert rules(spoken("10 < weather"), contract=only) == []


def test_client_messages_count_for_the_client_only() -> None:
    greeting = shop(
        'name = "x"\n[events.hello]\nfrom = "client"\n[[rules]]\nevent = "hello"\nfirst = true\nat_least = 1\n'
    )
    assert rules(spoken("9 < weather", "10 > hello"), contract=greeting) == []
    assert rules(spoken("9 > other", "10 > hello"), contract=greeting) == ["hello.first"]
    assert CLIENT is not SERVER
