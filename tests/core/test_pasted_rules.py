"""The rule that a miss or a mismatch names, pasted into the cassette's rules, makes the same request match."""

from __future__ import annotations

import json
import tomllib

import pytest
from dialogue import CLIENT, ask, cassette
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.canonical import message_form, request_form
from gp_replay.core.explain import Recorded, Request, mismatch, no_match
from gp_replay.core.model import Message, Opcode, Protocol, RequestHead
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast

JSON = ((b"Content-Type", b"application/json"),)
FORM = ((b"Content-Type", b"application/x-www-form-urlencoded"),)


def head(target: str, headers: tuple[tuple[bytes, bytes], ...] = JSON) -> RequestHead:
    return RequestHead(
        at_us=0, stream=1, side=CLIENT, method=b"POST", target=target.encode(), version=b"HTTP/1.1", headers=headers
    )


def pasted(rule: str) -> Rules:
    return Rules.from_plain(tomllib.loads(rule), source="tape.toml")


def says(data: str, rules: Rules) -> bytes:
    message = Message(at_us=0, stream=1, side=CLIENT, opcode=Opcode.TEXT, data=data.encode())
    return message_form(message, role="chat", path="/ws", rules=rules).digest


CONTENT = [
    ('{"a":"Rome","b":1}', '{"a":"Oslo","b":1}'),
    ('{"a":1}', '{"a":"1"}'),
    ('{"a":1,"b":2}', '{"a":1}'),
    ('{"a":1}', '{"a":1,"b":{"c":[2]}}'),
    ('{"a":[1,2]}', '{"a":[1]}'),
    ('{"a":[1]}', '{"a":[3,2,4]}'),
    ('{"a":{"b":1}}', '{"a":[1]}'),
    ('{"odd.name":1,"":2,"\\"":3,"{}":4,"prefix":5}', '{"odd.name":0,"":0,"\\"":0,"{}":0,"prefix":0}'),
    ('{"args":"{\\"city\\":\\"Rome\\"}"}', '{"args":"{\\"city\\": \\"Oslo\\"}"}'),
    ('{"args":"{\\"city\\":\\"Rome\\"}"}', '{"args":"[1]"}'),
    ('{"args":"{\\"city\\":\\"Rome\\"}"}', '{"args":"nothing"}'),
    (json.dumps({"a": json.dumps({"b": json.dumps([{"c": 1}])})}), json.dumps({"a": json.dumps({"b": json.dumps([{"c": 2}])})})),
    ('{"a":"42[\\"say\\",{\\"n\\":1}]"}', '{"a":"42[\\"say\\",{\\"n\\":2}]"}'),
    ('42["say",{"n":1,"list":[{"x":"a"}]}]', '42["say",{"n":2,"list":[{"x":"b"}]}]'),
    ('42["say",{"n":1}]', '43["say",{"n":1}]'),
    ('42["say",{"n":1}]', '["say",{"n":1}]'),
    ('42/chat,7["say",{"args":"{\\"n\\":1}"}]', '42/chat,7["say",{"args":"{\\"n\\":2}"}]'),
    ("hello", "hallo"),
]  # fmt: skip


def rule_of_a_miss(
    recorded: str, live: str, headers: tuple[tuple[bytes, bytes], ...] = JSON, target: str = "/v1"
) -> str:
    tape = cassette(ask(1, "POST", target, recorded))
    script = compile(tape, server_cast(tape), Rules())
    found = [Recorded(number=0, cassette="tape", script=script, entry=script.entries[0])]
    request = Request(protocol=Protocol.HTTP, role=None, head=head(target, headers), body=live.encode())
    return no_match(request, found, found).rule


@pytest.mark.parametrize(("recorded", "live"), CONTENT)
def test_the_rule_of_a_miss_makes_the_request_match(recorded: str, live: str) -> None:
    rules = pasted(rule_of_a_miss(recorded, live))
    forms = [request_form(head("/v1"), body.encode(), role="default", rules=rules).digest for body in (recorded, live)]
    assert forms[0] == forms[1]


@pytest.mark.parametrize(("recorded", "live"), CONTENT)
def test_the_rule_of_a_mismatch_makes_the_message_match(recorded: str, live: str) -> None:
    forms = [
        message_form(
            Message(at_us=0, stream=1, side=CLIENT, opcode=Opcode.TEXT, data=text.encode()),
            role="chat",
            path="/ws",
            rules=Rules(),
        )
        for text in (recorded, live)
    ]
    rules = pasted(mismatch(forms[0], forms[1], label="tape#1", role="chat", path="/ws").rule)
    assert says(recorded, Rules()) != says(live, Rules())
    assert says(recorded, rules) == says(live, rules)


@pytest.mark.parametrize(
    ("recorded", "live"),
    [("q=rome", "q=oslo"), ("q=rome&n=1", "q=rome"), ("q=a&q=b", "q=a"), ("q=a&q=b", "q=a&q=c"), ("", "q=1"), ("x.y=1", "x.y=2")],
)  # fmt: skip
def test_the_rule_of_a_query_does_so_too(recorded: str, live: str) -> None:
    tape = cassette(ask(1, "POST", f"/v1?{recorded}", "{}"))
    script = compile(tape, server_cast(tape), Rules())
    found = [Recorded(number=0, cassette="tape", script=script, entry=script.entries[0])]
    request = Request(protocol=Protocol.HTTP, role=None, head=head(f"/v1?{live}"), body=b"{}")
    rules = pasted(no_match(request, found, found).rule)
    forms = [request_form(head(f"/v1?{text}"), b"{}", role="default", rules=rules).digest for text in (recorded, live)]
    assert forms[0] == forms[1]


def test_fields_of_a_form_do_so_too() -> None:
    forms = [request_form(head("/v1", FORM), body, role="llm", rules=Rules()) for body in (b"a=1&b=2", b"a=1&b=3&c=4")]
    rules = pasted(mismatch(forms[0], forms[1], label="tape#1", role="llm", path="/v1").rule)
    one, other = (
        request_form(head("/v1", FORM), body, role="llm", rules=rules).digest for body in (b"a=1&b=2", b"a=1&b=3&c=4")
    )
    assert one == other


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.text(max_size=3), inner, max_size=2),
        inner.map(json.dumps),
        inner.map(lambda value: "42" + json.dumps([value])),
    ),
    max_leaves=4,
)


@given(VALUES, VALUES)
def test_whatever_differs_in_a_few_places_matches_under_the_rule(one: object, other: object) -> None:
    recorded, live = (json.dumps({"args": json.dumps({"value": value})}) for value in (one, other))
    rule = rule_of_a_miss(recorded, live)
    if rule.count("[[volatile]]") < 5:  # of more, only the first five are named
        rules = pasted(rule)
        assert (
            request_form(head("/v1"), recorded.encode(), role="default", rules=rules).digest
            == request_form(head("/v1"), live.encode(), role="default", rules=rules).digest
        )
