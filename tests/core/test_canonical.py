"""The canonical form: what makes two requests, or two messages, the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.canonical import (
    Form,
    fingerprint,
    literal_digest,
    message_form,
    path_of,
    request_form,
    request_key,
)
from gp_replay.core.model import Headers, Message, Opcode, Piece, RequestHead, Side
from gp_replay.core.rules import Rules

JSON = ((b"Content-Type", b"application/json"),)
UUID, OTHER_UUID = "0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5", "7f6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5"
RULE = Rules.from_plain({"volatile": [{"at": "body.messages[*].trace"}, {"at": "query.run"}]}, source="test")


def head(target: bytes = b"/v1", headers: Headers = JSON, method: bytes = b"POST") -> RequestHead:
    return RequestHead(
        at_us=0, stream=1, side=Side.CLIENT, method=method, target=target, version=b"HTTP/1.1", headers=headers
    )


def digest(body: bytes, target: bytes = b"/v1", headers: Headers = JSON, rules: Rules | None = None) -> bytes:
    return request_form(head(target, headers), body, role="llm", rules=rules or Rules()).digest


def said(text: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    message = Message(at_us=0, stream=1, side=Side.CLIENT, opcode=opcode, data=text)
    return message_form(message, role="chat", path="/ws", rules=Rules()).digest


SAME = [
    (b'{"a":1,"b":[2]}', b'{ "b": [2],\n "a": 1 }'),
    (f'{{"id":"{UUID}"}}'.encode(), f'{{"id":"{OTHER_UUID}"}}'.encode()),
    (b'{"created_at":1758100000}', b'{"created_at":1799999999.5}'),
    (b'{"at":"2025-09-17T09:06:39Z"}', b'{"at":"2026-01-01T00:00:00Z"}'),
    (b'{"args":"{\\"a\\":1,\\"b\\":2}"}', b'{"args":"{\\"b\\": 2, \\"a\\": 1}"}'),
    (b'{"api_key":"sk-abcdefghijklmnop1234567890"}', b'{"api_key":"sk-zyxwvutsrqponmlk0987654321"}'),
    (b'{"tool_call_id":"call_8JKs92kdLsm3"}', b'{"tool_call_id":"call_Zp0s71kxQam9"}'),
]
DIFFERENT = [
    (b'{"a":1}', b'{"a":2}'),
    (b'{"a":1}', b'{"a":"1"}'),
    (b'{"a":1}', b'{"a":true}'),
    (b'{"a":null}', b"{}"),
    (b'{"a":[1,2]}', b'{"a":[2,1]}'),
    (b'{"city":"Rome"}', b'{"city":"London"}'),
    (b'{"n":17}', b'{"n":18}'),
    (b'{"model":"gpt-4o-mini-2024-07-18"}', b'{"model":"gpt-4o-2024-08-06"}'),
    (b'{"args":"{\\"city\\":\\"Rome\\"}"}', b'{"args":"{\\"city\\":\\"Oslo\\"}"}'),
    (b'{"a":"sk-abcdefghijklmnop1234567890","b":"sk-abcdefghijklmnop1234567890"}',
     b'{"a":"sk-abcdefghijklmnop1234567890","b":"sk-bbbbefghijklmnop1234567890"}'),
    (b"{", b"[{"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_ids_times_secrets_and_spelling_do_not_count(one: bytes, other: bytes) -> None:
    assert digest(one) == digest(other)
    assert said(one) == said(other)
    assert literal_digest(b"/v1", one) != literal_digest(b"/v1", other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_everything_else_counts(one: bytes, other: bytes) -> None:
    assert digest(one) != digest(other)
    assert said(one) != said(other)


def test_text_with_a_short_prefix_before_json_is_looked_into() -> None:
    one, other = (f'42["chat",{{"id":"{uuid}","text":"hi"}}]'.encode() for uuid in (UUID, OTHER_UUID))
    assert said(one) == said(other)
    assert said(one) != said(one.replace(b"hi", b"ho"))
    assert said(one) != said(one.replace(b"42[", b"43["))


def test_binary_and_text_of_the_same_bytes_are_different() -> None:
    assert said(b"abc") != said(b"abc", Opcode.BINARY)
    assert said(b"abc", Opcode.BINARY) == said(b"abc", Opcode.BINARY)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"/v1?a=1&b=2", b"/v1?b=2&a=1", True),
        (b"/v1?t=1758100000", b"/v1?t=1799999999", True),
        (b"/v1?q=17", b"/v1?q=18", False),
        (b"/v1?q=rome", b"/v1?q=oslo", False),
        (b"//v1", b"/v1", True),
        (b"/v1/%7Eme", b"/v1/~me", True),
        (b"/v1", b"/v2", False),
        (f"/v1/{UUID}".encode(), f"/v1/{OTHER_UUID}".encode(), False),
        (b"/v1?api_key=abcdef", b"/v1?api_key=fedcba", True),
    ],
)
def test_targets(one: bytes, other: bytes, same: bool) -> None:
    assert (digest(b"", one) == digest(b"", other)) is same


def test_an_id_in_a_path_is_literal() -> None:
    assert path_of(b"/v1/threads/abc?x=1") == "/v1/threads/abc"
    assert path_of(b"/%ff") == "/%ff"


def test_forms_and_multipart_are_compared_by_content() -> None:
    form = ((b"Content-Type", b"application/x-www-form-urlencoded"),)
    assert digest(b"a=1&b=2", headers=form) == digest(b"b=2&a=1", headers=form)

    def part(boundary: bytes, text: bytes) -> bytes:
        body = (
            b"--" + boundary + b"\r\nContent-Disposition: form-data\r\n\r\n" + text + b"\r\n--" + boundary + b"--\r\n"
        )
        return digest(body, headers=((b"Content-Type", b"multipart/form-data; boundary=" + boundary),))

    assert part(b"aaa", b"x") == part(b"bbb", b"x")
    assert part(b"aaa", b"x") != part(b"aaa", b"y")


def test_a_type_without_a_body_says_nothing() -> None:
    assert digest(b"", headers=()) == digest(b"")


def test_the_token_among_offered_subprotocols_counts_by_class() -> None:
    def offer(value: bytes) -> bytes:
        headers = ((b"Upgrade", b"websocket"), (b"Sec-WebSocket-Protocol", value))
        return request_form(head(b"/ws", headers, b"GET"), b"", role="chat", rules=Rules()).digest

    assert offer(b"jwt-auth, jwt.ZXlKaGJHY2lPaUpJVXpJMU5pSjkx") == offer(b"jwt-auth, jwt.QQlKaGJHY2lPaUpJVXpJMU5pSjky")
    assert offer(b"jwt-auth") != offer(b"bearer")
    assert offer(b"v1.kernel.websocket.jupyter.org") != offer(b"v2.kernel.websocket.jupyter.org")


def test_a_rule_makes_its_place_volatile_and_changes_the_fingerprint() -> None:
    one = b'{"messages":[{"trace":"a","text":"x"},{"trace":"b","text":"y"}]}'
    assert digest(one, b"/v1?run=1", rules=RULE) == digest(
        one.replace(b'"a"', b'"c"').replace(b'"b"', b"7"), b"/v1?run=2", rules=RULE
    )
    assert digest(one, rules=RULE) != digest(one.replace(b"x", b"z"), rules=RULE)
    assert fingerprint(RULE) != fingerprint(Rules())


LITERAL = Rules.from_plain(
    {
        "literal": [{"at": "body.order"}, {"at": "body.args{}.at"}, {"at": "query.t"}, {"at": "message{}[1].id"}],
        "volatile": [{"at": "body.order"}],
    },
    source="test",
)


@pytest.mark.parametrize(
    ("target", "one", "other"),
    [
        (b"/v1", f'{{"order":"{UUID}"}}', f'{{"order":"{OTHER_UUID}"}}'),
        (b"/v1", '{"args":"{\\"at\\":1758100000}"}', '{"args":"{\\"at\\":1758100001}"}'),
        (b"/v1?EIO=4&t=%s", "Pc3hZ9k", "Pc3hZ9l"),
    ],
)
def test_at_a_literal_place_ids_times_and_nonces_count(target: bytes, one: str, other: str) -> None:
    def form(text: str, rules: Rules) -> bytes:
        return (
            digest(b"", target % text.encode(), rules=rules) if b"%" in target else digest(text.encode(), rules=rules)
        )

    assert form(one, Rules()) == form(other, Rules())
    assert form(one, LITERAL) == form(one, LITERAL)
    assert form(one, LITERAL) != form(other, LITERAL)


def test_at_a_literal_place_of_a_message_an_id_counts_and_is_none_to_pair() -> None:
    def form(uuid: str, rules: Rules) -> Form:
        data = f'42["chat",{{"id":"{uuid}","thread":"{uuid}"}}]'.encode()
        message = Message(at_us=0, stream=1, side=Side.CLIENT, opcode=Opcode.TEXT, data=data)
        return message_form(message, role="chat", path="/ws", rules=rules)

    assert form(UUID, Rules()).digest == form(OTHER_UUID, Rules()).digest
    assert form(UUID, LITERAL).digest != form(OTHER_UUID, LITERAL).digest
    assert form(UUID, LITERAL).ids == (UUID,)


def test_a_secret_at_a_literal_place_is_still_by_its_class() -> None:
    rule = Rules.from_plain({"literal": [{"at": "body"}]}, source="test")
    one, other = (b'{"api_key":"sk-%sklmnop1234567890"}' % middle for middle in (b"abcdefghij", b"zyxwvutsrq"))
    assert digest(one, rules=rule) == digest(other, rules=rule)


def test_the_key_holds_form_and_literal() -> None:
    events = (
        head(),
        Piece(at_us=0, stream=1, side=Side.CLIENT, data=b'{"a":'),
        Piece(at_us=0, stream=1, side=Side.CLIENT, data=b"1}"),
    )
    assert request_key(Rules(), "llm", events) == digest(b'{"a":1}') + literal_digest(b"/v1", b'{"a":1}')


@given(st.binary(max_size=200))
def test_any_bytes_have_a_form_and_match_themselves(data: bytes) -> None:
    assert digest(data) == digest(data)
    assert said(data) == said(data)


def test_hostile_nesting_is_compared_as_bytes() -> None:
    deep = b"[" * 200 + b"]" * 200
    assert digest(deep) == digest(deep)
    assert digest(deep) != digest(b"[" * 201 + b"]" * 201)
