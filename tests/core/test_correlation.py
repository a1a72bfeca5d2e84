"""Requests and their replies: which protocol a message is of, and its number in place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.canonical import message_form
from gp_replay.core.correlation import correlated, with_number
from gp_replay.core.model import Message, Opcode, Side
from gp_replay.core.rules import Rules

JUPYTER = {"header": {"msg_id": "m-1"}, "parent_header": {}, "content": {}, "channel": "shell"}


@pytest.mark.parametrize(
    ("message", "name", "reply", "number"),
    [
        ({"jsonrpc": "2.0", "method": "add", "id": 3}, "json-rpc", False, "3"),
        ({"jsonrpc": "2.0", "result": 5, "id": 3}, "json-rpc", True, "3"),
        ({"jsonrpc": "2.0", "error": {"code": 1}, "id": "3"}, "json-rpc", True, '"3"'),
        ({"id": "a", "type": "subscribe", "payload": {}}, "graphql-transport-ws", False, '"a"'),
        ({"id": "a", "type": "next", "payload": {}}, "graphql-transport-ws", True, '"a"'),
        (JUPYTER, "jupyter", False, '"m-1"'),
        ({**JUPYTER, "parent_header": {"msg_id": "m-0"}}, "jupyter", True, '"m-0"'),
        ({"id": 1, "method": "Page.enable"}, "cdp", False, "1"),
        ({"id": 1, "result": {}}, "cdp", True, "1"),
        ({"id": 1, "error": {"message": "no"}}, "cdp", True, "1"),
        ('42/chat,7["ask",1]', "socket.io", False, "7"),
        ('437["yes"]', "socket.io", True, "7"),
    ],
)
def test_a_message_says_whether_it_asks_or_answers_and_by_which_number(
    message: object, name: str, reply: bool, number: str
) -> None:
    said = correlated(message)
    assert said is not None
    assert (said.name, said.reply, said.number) == (name, reply, number)


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notify"},
        {"jsonrpc": "2.0", "method": "ask", "id": True},
        {"jsonrpc": "2.0", "id": None, "error": {}},
        {"method": "Page.loaded", "params": {}},
        {"type": "connection_ack"},
        {"id": "", "type": "next"},
        {"type": "agent_started", "id": 7},
        {"header": "text", "content": 1, "channel": 2},
        '42["event"]',
        "3",
        "hello",
        [1, 2],
        None,
    ],
    ids=repr,
)
def test_events_and_content_carry_no_number(message: object) -> None:
    assert correlated(message) is None


@pytest.mark.parametrize(
    ("raw", "number", "expected"),
    [
        ('{"jsonrpc" : "2.0","id": 3 , "method":"x"}', "41", '{"jsonrpc" : "2.0","id": 41 , "method":"x"}'),
        ('{"params":{"id":3},"id":3,"method":"x"}', "9", '{"params":{"id":3},"id":9,"method":"x"}'),
        (
            '{"params":[{"id":3},["id",3]],"id":3,"method":"x"}',
            "9",
            '{"params":[{"id":3},["id",3]],"id":9,"method":"x"}',
        ),
        ('{"note":"\\"id\\":3","id":3,"method":"x"}', "9", '{"note":"\\"id\\":3","id":9,"method":"x"}'),
        ('{"id":"a","type":"complete"}', '"b"', '{"id":"b","type":"complete"}'),
        ('{"id":3,"method":"x"}', "3", '{"id":3,"method":"x"}'),
        ('42/chat,7["ask",7]', "12", '42/chat,12["ask",7]'),
    ],
)
def test_only_the_number_changes_and_every_other_byte_stays(raw: str, number: str, expected: str) -> None:
    said = correlated(json.loads(raw) if raw[0] == "{" else raw)
    assert said is not None
    assert with_number(raw.encode(), said, number) == expected.encode()


def test_a_number_inside_a_member_is_found_by_its_path() -> None:
    raw = json.dumps({"msg_id": "m-0", **JUPYTER, "parent_header": {"date": "now", "msg_id": "m-0"}})
    said = correlated(json.loads(raw))
    assert said is not None
    changed = json.loads(with_number(raw.encode(), said, '"other"'))
    assert changed == {**json.loads(raw), "parent_header": {"date": "now", "msg_id": "other"}}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    ),
    st.integers(0, 10**9),
)
def test_whatever_the_parameters_hold_the_number_is_replaced_and_nothing_else(params: object, number: int) -> None:
    message = {"method": "x", "params": params, "id": 3}
    said = correlated(message)
    assert said is not None
    raw = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert json.loads(with_number(raw, said, str(number))) == {**message, "id": number}


@pytest.mark.parametrize("odd", [[], {}, None, 3, True])
@pytest.mark.parametrize("name", ["type", "jsonrpc", "method", "id", "result"])
def test_whatever_stands_where_a_word_should_is_no_protocol(name: str, odd: object) -> None:
    assert correlated({name: odd}) is None or name == "id"
    correlated({"jsonrpc": "2.0", "id": 1, "type": "next", "payload": {}, "method": "x", name: odd})


def test_a_text_that_only_begins_like_an_acknowledged_event_carries_no_number() -> None:
    message = Message(at_us=0, stream=1, side=Side.CLIENT, opcode=Opcode.TEXT, data=b"420[")
    assert message_form(message, role="x", path="/", rules=Rules()).correlated is None
