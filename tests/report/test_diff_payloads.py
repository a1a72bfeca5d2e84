import json
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import bodies

from gp_replay.report.diff_payloads import (
    MAX_SHOWN,
    event_blocks,
    event_changes,
    payload_changes,
    purpose,
    text_change,
)


def told(a: str, b: str) -> list[tuple[str, str | None, str | None, str]]:
    changes = payload_changes(a.encode(), b.encode(), part="body")
    return [(item.place, item.a, item.b, "spelling" if item.spelling else item.volatile) for item in changes]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("same", "same", []),
        ("text", "test", [("body", "text", "test", "")]),
        ("", "x", [("body", "", "x", "")]),
        ("{}", "[]", [("body", "{}", "[]", "")]),
        ('{"a":1}', '{"a":2}', [("body.a", "1", "2", "")]),
        ('{"a":1}', '{"a":true}', [("body.a", "1", "true", "")]),
        ('{"a":1}', '{"a":1.0}', [("body.a", "1", "1.0", "")]),
        ('{"a":[true]}', '{"a":[1]}', [("body.a[0]", "true", "1", "")]),
        ('{"a":1}', '{"b":1}', [("body.a", '{"a":1}', '{"b":1}', "")]),
        ('{"a":1}', '{"b":2}', [("body.a", "1", None, ""), ("body.b", None, "2", "")]),
        ('{"a":1}', '{"a": 1}', [("body", '{"a":1}', '{"a": 1}', "spelling")]),
        ('{"a":1}', '{"a":0,"a":1}', [("body", '{"a":1}', '{"a":0,"a":1}', "spelling")]),
        ('{"a":1}', '{"a":1', [("body", '{"a":1}', '{"a":1', "")]),
        ("[1,2,3]", "[1,3]", [("body[1]", "2", None, "")]),
        (
            '[{"type":"a","v":1}]',
            '[{"type":"b"},{"type":"a","v":2}]',
            [("body[0]", None, '{"type":"b"}', ""), ("body[0].v", "1", "2", "")],
        ),
        (r'{"s":"{\"x\":1}"}', r'{"s":"{\"x\":2}"}', [("body.s{}.x", "1", "2", "")]),
        (r'{"s":"{\"x\":1}"}', r'{"s":"{\"x\": 1}"}', [("body.s", '{"x":1}', '{"x": 1}', "spelling")]),
        ('42["e",{"x":1}]', '42["e",{"x":2}]', [("body{}[1].x", "1", "2", "")]),
        ('42["e"]', '43["e"]', [("body", '42["e"]', '43["e"]', "")]),
        ('{"odd.name":1}', '{"odd.name":2}', [('body["odd.name"]', "1", "2", "")]),
        ('{"created":1764000000}', '{"created":1764000009}', [("body.created", "1764000000", "1764000009", "time")]),
        ('{"count":1764000000}', '{"count":1764000009}', [("body.count", "1764000000", "1764000009", "")]),
        ('{"id":"call_a1b2c3d4"}', '{"id":"call_z9y8x7w6"}', [("body.id", "call_a1b2c3d4", "call_z9y8x7w6", "id")]),
        ('{"id":"call_a1b2c3d4"}', '{"id":"Rome"}', [("body.id", "call_a1b2c3d4", "Rome", "")]),
        (
            "call call_a1b2c3d4 now",
            "call call_z9y8x7w6 now",
            [("body", "call call_a1b2c3d4 now", "call call_z9y8x7w6 now", "id")],
        ),
        (
            '{"at":"2026-11-25T10:00:00Z"}',
            '{"at":"2026-11-25T10:00:01Z"}',
            [("body.at", "2026-11-25T10:00:00Z", "2026-11-25T10:00:01Z", "time")],
        ),
        ("\x1b[2J", "\x1b[3J", [("body", "\\x1b[2J", "\\x1b[3J", "")]),
    ],
)
def test_changes_stand_at_their_place(a: str, b: str, expected: list[object]) -> None:
    assert told(a, b) == expected


@given(bodies, bodies)
def test_other_bytes_give_a_change_and_equal_ones_none(a: bytes, b: bytes) -> None:
    assert bool(payload_changes(a, b, part="body")) is (a != b)
    assert bool(event_changes(a, b)) is (a != b)


def test_json_nested_too_deeply_is_text() -> None:
    deep = "[" * 500 + "{}" + "]" * 500
    assert [place for place, *_ in told(deep, deep.replace("{}", "[]"))] == ["body"]
    text = "1"
    for _ in range(12):
        text = json.dumps({"s": text})
    assert [place for place, *_ in told(text, text.replace("1", "2"))] == ["body" + ".s{}" * 11 + ".s"]


@pytest.mark.parametrize("at", [0, 30, 500, 999])
def test_long_values_are_shown_around_the_difference(at: int) -> None:
    text = "abcdefghij" * 100
    change = text_change(text, text[:at] + "X" + text[at + 1 :], place="body")
    assert change.b is not None
    assert "X" in change.b
    assert len(change.b) <= MAX_SHOWN + 2
    assert change.b.startswith("…") is (at > 40)


@given(st.binary(max_size=30) | st.text("a:\r\n", max_size=20).map(str.encode))
def test_event_blocks_are_the_body(body: bytes) -> None:
    assert b"".join(event_blocks(body)) == body


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_end_at_an_empty_line(end: str) -> None:
    blocks = [f"event: a{end}data: 1{end}{end}", f"data: 2{end}{end}", "data: 3"]
    assert event_blocks("".join(blocks).encode()) == [block.encode() for block in blocks]


@pytest.mark.parametrize(
    ("a", "b", "places"),
    [
        ('event: a\ndata: {"x":1}\n\n', 'event: a\ndata: {"x":2}\n\n', ["data.x"]),
        ("event: a\ndata: 1\n\n", "event: b\ndata: 1\n\n", ["fields"]),
        ("event: a\ndata: 1\n\n", "event: b\ndata: 2\n\n", ["data", "fields"]),
        ("data: 1\n\n", "data:1\r\n\r\n", ["data"]),
        ('data: {"x":\ndata: 1}\n\n', 'data: {"x":\ndata: 2}\n\n', ["data.x"]),
    ],
)
def test_an_event_differs_in_data_or_in_its_other_lines(a: str, b: str, places: list[str]) -> None:
    assert [change.place for change in event_changes(a.encode(), b.encode())] == places


@pytest.mark.parametrize(
    ("payload", "same"),
    [
        ('{"type":"a","x":1}', '{"x":2,"type":"a"}'),
        ('{"x":1,"y":2}', '{"y":3,"x":4}'),
        ('42["joined",1]', '42["joined",2,3]'),
        ("hello", "world"),
    ],
)
def test_messages_of_one_purpose_have_one_key(payload: str, same: str) -> None:
    found: Hashable = purpose(payload.encode())
    assert found == purpose(same.encode())
    assert found != purpose(b'{"type":"other"}')
