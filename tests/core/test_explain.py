"""Why something was refused, in words to act on."""

from __future__ import annotations

import tomllib

import pytest
from dialogue import CLIENT, ask, cassette, chat
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.canonical import path_of
from gp_replay.core.explain import Recorded, Request, beyond, rule_for
from gp_replay.core.explain import no_match as explain_no_match
from gp_replay.core.matching import Difference, Refusal
from gp_replay.core.model import Protocol, RequestHead
from gp_replay.core.places import format_place
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast

TAPE = cassette(
    ask(1, "POST", "/v1/chat", '{"model":"a","city":"Rome","n":1}'),
    ask(2, "POST", "/v1/chat", '{"model":"a","city":"Oslo","n":2}', at=5),
    ask(3, "GET", "/health", at=9),
    chat(4, "5 < hi", path="/ws", at=20),
)
SCRIPT = compile(TAPE, server_cast(TAPE), Rules())
ALL = [
    Recorded(number=number, cassette="tape", script=SCRIPT, entry=entry) for number, entry in enumerate(SCRIPT.entries)
]


def asked(
    method: str, target: str, body: str = "", *, protocol: Protocol = Protocol.HTTP, role: str | None = None
) -> Request:
    head = RequestHead(
        at_us=0,
        stream=1,
        side=CLIENT,
        method=method.encode(),
        target=target.encode(),
        version=b"HTTP/1.1",
        headers=((b"Content-Type", b"application/json"),),
    )
    return Request(protocol=protocol, role=role, head=head, body=body.encode())


def no_match(request: Request, recorded: list[Recorded]) -> Refusal:
    near = [
        item
        for item in recorded
        if item.entry.protocol is request.protocol
        and path_of(item.entry.target) == path_of(request.head.target)
        and request.role in (None, item.entry.role)
    ]
    return explain_no_match(request, near, recorded)


def test_the_nearest_recording_is_the_one_with_the_fewest_differences() -> None:
    refusal = no_match(asked("POST", "/v1/chat", '{"model":"a","city":"Oslo","n":3}'), ALL)
    assert refusal.nearest == "tape#2"
    assert [item.place for item in refusal.differences] == ["body.n"]
    assert "request" in refusal.reason


def test_another_method_at_the_same_path_is_near_but_no_rule_can_heal_it() -> None:
    refusal = no_match(asked("PUT", "/v1/chat"), ALL)
    assert refusal.differences[0].place == "method"
    assert refusal.rule == ""


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (asked("GET", "/other"), "nothing was recorded at this path"),
        (asked("GET", "/x", protocol=Protocol.WEBSOCKET, role="nobody"), "no WebSocket connections of role nobody"),
        (asked("GET", "/x", role="nobody"), "no HTTP exchanges of role nobody"),
    ],
)
def test_where_nothing_is_near_it_says_what_was_recorded(request_: Request, words: str) -> None:
    refusal = no_match(request_, ALL)
    assert words in refusal.reason
    assert "POST /v1/chat" in refusal.hint


def test_no_recordings_at_all_say_so() -> None:
    assert "hold nothing" in no_match(asked("GET", "/"), []).hint


def test_beyond_names_the_recording() -> None:
    assert beyond("tape#4").close_code == 4404
    assert "tape#4" in beyond("tape#4").reason


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4), st.text(max_size=20))
def test_every_rule_is_toml_that_reads_back_as_its_place(names: list[str], path: str) -> None:
    place = ("body", *names)
    text = rule_for([Difference(place=format_place(place), recorded="a", live="b")], role="llm", path=path)
    (rule,) = Rules.from_plain(tomllib.loads(text), source="pasted").volatile
    assert (rule.at, rule.role, rule.path) == (place, "llm", path)
