"""Recorded and live answers laid side by side: whole, as event streams, with kinds out of step."""

from __future__ import annotations

import json

import pytest

from gp_replay.core.answers import answer_pairs, secret_pairs, texts_of, units_of

OLD, NEW = "chatcmpl-0ZkQ9sHk2mVx81Lq", "chatcmpl-7bRt4wNc5yPd20Ua"
OLD_CALL, NEW_CALL = "call_a1b2c3d4e5f6", "call_z9y8x7w6v5u4"


def stream(*values: object, named: bool = False) -> bytes:
    lines = []
    for value in values:
        if named and isinstance(value, dict):
            lines.append(f"event: {value['type']}\n")
        lines.append(f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n")
    return "".join(lines).encode()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"a":1}', [("", b'{"a":1}')]),
        (b'  [{"a":1}]', [("", b'  [{"a":1}]')]),
        (b'data: {"a":1}\n\ndata: [DONE]\n\n', [("message", b'{"a":1}'), ("message", b"[DONE]")]),
        (b'event: delta\ndata: {"a":1}\n\n', [("delta", b'{"a":1}')]),
        (b"", []),
        (b"just text", []),
    ],
)
def test_an_answer_is_one_json_text_or_those_of_its_events(answer: bytes, expected: list[tuple[str, bytes]]) -> None:
    found = [(name, data) for name, data in units_of(answer)]
    if found and found[0][0] == "":
        expected = [("" if name == "message" else name, data) for name, data in expected]
    assert found == expected


def test_ids_at_the_same_place_stand_for_each_other() -> None:
    recorded = units_of(json.dumps({"id": OLD, "calls": [{"id": OLD_CALL}], "model": "gpt-4o"}).encode())
    live = units_of(json.dumps({"model": "gpt-4o", "calls": [{"id": NEW_CALL}], "id": NEW}).encode())
    assert sorted(answer_pairs(recorded, live)) == sorted(
        [(OLD.encode(), NEW.encode()), (OLD_CALL.encode(), NEW_CALL.encode())]
    )


def test_events_are_paired_by_kind_and_place_among_their_kind_not_by_position() -> None:
    recorded = units_of(
        stream(
            {"type": "delta", "text": "a"},
            {"type": "item", "id": OLD_CALL},
            {"type": "done", "id": OLD},
            named=True,
        )
    )
    live = units_of(
        stream(
            {"type": "delta", "text": "a"},
            {"type": "delta", "text": "b"},
            {"type": "delta", "text": "c"},
            {"type": "item", "id": NEW_CALL},
            {"type": "done", "id": NEW},
            named=True,
        )
    )
    assert answer_pairs(recorded, live) == [
        (OLD_CALL.encode(), NEW_CALL.encode()),
        (OLD.encode(), NEW.encode()),
    ]


def test_each_event_of_a_kind_is_paired_with_the_one_at_its_place() -> None:
    recorded = units_of(stream({"type": "item", "id": OLD_CALL}, {"type": "item", "id": OLD}))
    live = units_of(stream({"type": "item", "id": NEW_CALL}, {"type": "item", "id": NEW}, {"type": "item", "id": "x"}))
    assert answer_pairs(recorded, live) == [(OLD_CALL.encode(), NEW_CALL.encode()), (OLD.encode(), NEW.encode())]


def test_words_are_content_and_an_id_in_place_of_a_word_binds_nothing() -> None:
    recorded = units_of(b'{"city":"Rome","id":"%s"}' % OLD.encode())
    live = units_of(b'{"city":"London","id":"none"}')
    assert answer_pairs(recorded, live) == []


def test_a_token_is_known_by_its_name_and_its_length() -> None:
    recorded = units_of(b'{"access_token":"pseudonym-pseudonym-1","token_type":"bearer","password":"short"}')
    live = units_of(b'{"access_token":"really-live-token-42","token_type":"bearer","password":"other"}')
    assert secret_pairs(recorded, live) == [("pseudonym-pseudonym-1", "really-live-token-42")]


def test_the_text_of_consecutive_events_is_joined_and_a_constant_string_stands_once() -> None:
    chunks = [{"object": "chunk", "model": "smol", "delta": {"content": part}} for part in ("Ro", "me", "!")]
    texts = texts_of(units_of(stream(*chunks, "[DONE]")))
    by_name = {path[-1]: text for path, text in texts.items()}
    assert by_name == {"object": "chunk", "model": "smol", "content": "Rome!"}


def test_what_is_no_json_or_nests_too_deeply_is_passed_over() -> None:
    deep = b'{"a":' * 40 + b'"lost"' + b"}" * 40
    units = [("", b"{broken"), ("", deep), ("", b'{"a":"kept"}')]
    assert list(texts_of(units).values()) == ["kept"]
    assert answer_pairs(units, units) == []


def test_engine_io_packets_are_texts_of_their_own() -> None:
    body = b'42["welcome",{"session_id":"a"}]\x1e40{"sid":"b"}\x1e2'
    assert units_of(body) == [("42", b'["welcome",{"session_id":"a"}]'), ("40", b'{"sid":"b"}')]
