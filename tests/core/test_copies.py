"""Strings that a client copied from its server."""

from __future__ import annotations

import json

from gp_replay.core.copies import Copies


def heard(recorded: str, live: str) -> Copies:
    copies = Copies()
    copies.heard({("", "text"): recorded}, {("", "text"): live})
    return copies


def test_a_whole_string_that_the_server_said_is_said_as_the_live_one() -> None:
    raw = json.dumps({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Red, blue"}]})
    said = heard("Red, blue", 'Green "and" blue').say(raw.encode())
    assert json.loads(said)["messages"][1]["content"] == 'Green "and" blue'
    assert said == raw.replace("Red, blue", 'Green \\"and\\" blue').encode()


def test_part_of_a_string_is_not_replaced() -> None:
    assert heard("Red", "Green").say(b'{"a":"Red, blue"}') == b'{"a":"Red, blue"}'


def test_escapes_do_not_hide_a_copy() -> None:
    assert (
        heard('{"city":"Rome"}', '{"city":"Oslo"}').say(rb'{"a":"{\"city\":\"Rome\"}"}')
        == rb'{"a":"{\"city\":\"Oslo\"}"}'
    )


def test_what_the_client_said_first_is_its_own() -> None:
    copies = Copies()
    assert copies.say(b'["Rome"]') == b'["Rome"]'
    copies.heard({("", "city"): "Rome"}, {("", "city"): "Oslo"})
    assert copies.say(b'["Rome"]') == b'["Rome"]'


def test_a_text_that_stood_for_two_things_is_left_alone() -> None:
    copies = heard("ok", "fine")
    copies.heard({("", "other"): "ok"}, {("", "other"): "well"})
    assert copies.say(b'["ok"]') == b'["ok"]'


def test_a_body_stays_in_as_many_parts() -> None:
    copies = heard("Red", "Green")
    assert copies.say_parts([b'{"a":"R', b'ed"}']) == [b"", b'{"a":"Green"}']
    assert copies.say_parts([b'{"a":', b'"x"}']) == [b'{"a":', b'"x"}']
    assert copies.say(b"not json") == b"not json"
