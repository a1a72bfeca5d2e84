"""No secret reaches the disk, and nothing else is changed: every rule, for HTTP and for WebSocket alike."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redacting import (
    BODIES,
    BUILT_IN,
    KEY,
    LITERAL,
    OPAQUE,
    RULES,
    SALT,
    bodies,
    body,
    kept_around,
    message,
    piece,
    redacted,
    request,
    response,
)

from gp_replay.core.model import Close, Message, Opaque, Piece, Ping, Side
from gp_replay.core.redaction import RedactionRules, Redactor, SecretClasses
from gp_replay.errors import UsageError


@pytest.mark.parametrize(("text", "secret"), BODIES)
def test_a_secret_in_a_body_is_replaced_and_nothing_else(text: bytes, secret: bytes) -> None:
    kept_around(text, secret, body(text))


@pytest.mark.parametrize(("text", "secret"), BODIES)
def test_a_secret_in_a_message_is_replaced_alike(text: bytes, secret: bytes) -> None:
    out = redacted([message(text, 5, len(text) - 5)])
    assert bodies(out) == [body(text)]
    assert isinstance(out[0], Message)
    assert [fragment.length for fragment in out[0].fragments] == [5, len(text) - 5]


@pytest.mark.parametrize(("text", "secret"), BODIES)
def test_a_secret_cut_at_any_byte_is_replaced_alike(text: bytes, secret: bytes) -> None:
    whole = body(text)
    for cut in range(len(text) + 1):
        assert body(text, cut) == whole
    assert body(text, *range(1, len(text))) == whole


@pytest.mark.parametrize(("text", "secret"), BODIES)
def test_redacting_twice_changes_nothing(text: bytes, secret: bytes) -> None:
    redactor = Redactor(RULES, salt=SALT)
    once = redacted([response(), piece(text)], redactor=redactor)
    assert redacted(once, redactor=redactor) == once


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from([part for text, _ in BODIES for part in (text, b" ")] + [b"hello", b'"', b"\\", b"\n"]),
        max_size=5,
    ).map(b" ".join),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_split_anywhere_gives_the_same_text(text: bytes, cuts: list[int]) -> None:
    assert body(text, *(cut % (len(text) + 1) for cut in cuts)) == body(text)


ORDINARY = [
    b'{"max_tokens": 5, "usage": {"completion_tokens": 12, "token_count": "12345678901234567890"}}',
    b'{"key": "name", "secret": "santa", "token": "Hello", "tokens": ["sk", "-", "AI"]}',
    b'{"logprobs":{"content":[{"token":" internationalization","logprob":-0.1,"bytes":[32]}]}}',
    b'{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","tool_call_id":"call_abcDEF0123456789abcDEF01","fp":"fp_44709d6fcb"}',
    b'{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","request_id":"req_011CSHoEeqs5C35K2UUqR7Fy","run":"run_0123456789abcdef"}',
    b'{"key":"550e8400-e29b-41d4-a716-44665544a0b0","sha":"9f86d081884c7d659a2feaa0c55ad0159f86d081884c7d65"}',
    b'{"type":"signature_delta","signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"}',
    b"task-based-approaches-to-learning-2024 disk-abcdefghijklmnopqrst0123 are words; sk-learn-style-estimators-too",
    b"A bearer of good news. Bearer tokens are used as authorization. The password is: unknown to me.",
    b"{'password': nothing} password=hunter? The api_key field is required, \"api_key\" is its name",
    b'{"type":"object","properties":{"api_key":{"type":"string"},"password":{"type":"string"}},"required":["api_key"]}',
    b'{"api_key":null,"password":"","token":null,"expires":true}',
    b'{"password":["This field is required."],"key":["name"]}',
    b'{"key":"call_abcDEF0123456789abcDEF01","token":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"}',
    b'{"key":"uploads/9f86d081884c7d65.png","secret":"backup-9f86d081884c7d65a0b1.gz"}',
    b"risk_abcdefghij0123456789 task_live_abcdefghij0123456789 xya29.abcdefghij0123456789abcdefghij0123456789",
    b"-----BEGIN CERTIFICATE-----\nMIIEabcdef0123456789abcdef\n-----END CERTIFICATE-----",
    b'{"url":"data:image/png;base64,' + base64.b64encode(bytes(range(256)) * 20) + b'"}',
    bytes(range(256)) * 8,
    'Ünï¢ödé — 漢字 😀 "quotes" \\ back\\slashes \\u00e9'.encode(),
    rb'{"text":"caf\u00e9 \ud83d\ude00 a\/b \u003cb\u003e"}',
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays_byte_for_byte(text: bytes) -> None:
    assert body(text, rules=BUILT_IN) == text
    assert body(text, *range(1, min(len(text), 300)), rules=BUILT_IN) == text
    assert bodies(redacted([message(text)], rules=BUILT_IN)) == [text]
    event = b"data: " + text.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n\n"
    assert body(event * 3, 7, len(event) + 9, rules=BUILT_IN, media=b"text/event-stream") == event * 3


def test_form_fields_count_only_in_forms_whatever_cuts_them() -> None:
    text = b"password=hunter2&grant=x&client_secret=abc123&key=name&code=5"
    form = b"application/x-www-form-urlencoded"
    whole = body(text, media=form)
    assert whole == b"password=aaaaaa1&grant=x&client_secret=aaa002&key=name&code=5"
    for cut in range(len(text)):
        assert body(text, cut, media=form) == whole
    assert body(text) == text


def test_a_form_without_end_is_not_withheld_without_end() -> None:
    stream = Redactor(RULES, salt=SALT).stream()
    stream.feed(response((b"Content-Type", b"application/x-www-form-urlencoded")))
    held = 0
    for _ in range(100):
        held += 1000 - sum(len(event.data) for event in stream.feed(piece(b"x" * 1000)) if isinstance(event, Piece))
        assert held <= 5000


def test_deltas_of_an_event_stream_and_of_messages_are_joined() -> None:
    made = Redactor(RULES, salt=SALT).value(KEY)
    # A beginning that is a whole key by itself gets a pseudonym of its own: see the next test.
    for cut in range(1, 23):
        deltas = [b'{"delta":"say "}', b'{"delta":"%s"}' % KEY[:cut], b'{"delta":"%s"}' % KEY[cut:], b'{"delta":" ok"}']
        expected = [deltas[0], b'{"delta":"%s"}' % made[:cut], b'{"delta":"%s"}' % made[cut:], deltas[3]]
        assert bodies(redacted([message(delta) for delta in deltas])) == expected
        events = [response((b"Content-Type", b"text/event-stream")), *(piece(b"data: %s\n\n" % d) for d in deltas)]
        assert bodies(redacted(events)) == [b"data: %s\n\n" % delta for delta in expected]


@pytest.mark.parametrize("cut", range(23, len(KEY)))
def test_the_rest_of_a_key_whose_beginning_is_one_is_replaced_too(cut: int) -> None:
    out = b"".join(bodies(redacted([message(b'{"d":"%s"}' % part) for part in (KEY[:cut], KEY[cut:])])))
    assert b'"%s"' % KEY[cut:] not in out or len(KEY) - cut < 3
    assert KEY[8:cut] not in out


def test_control_frames_keep_their_place_and_do_not_cut_deltas() -> None:
    ping = Ping(at_us=1, stream=1, side=Side.SERVER, data=b"say " + LITERAL)
    close = Close(at_us=2, stream=1, side=Side.SERVER, code=1000, reason=b"bad key " + KEY)
    out = redacted([message(b'{"d":"%s"}' % KEY[:9]), ping, message(b'{"d":"%s"}' % KEY[9:]), close])
    assert [type(event) for event in out] == [Message, Ping, Message, Close]
    made = Redactor(RULES, salt=SALT).value(KEY)
    assert bodies(out) == [b'{"d":"%s"}' % made[:9], b'{"d":"%s"}' % made[9:]]
    assert isinstance(out[1], Ping)
    assert LITERAL not in out[1].data
    assert isinstance(out[3], Close)
    assert out[3].reason == b"bad key " + made


def test_the_end_of_a_side_releases_what_it_withholds_and_leaves_the_other_alone() -> None:
    stream = Redactor(RULES, salt=SALT).stream()
    stream.feed(response())
    assert stream.feed(piece(b"a sk")) == []
    other = Opaque(at_us=1, stream=1, side=Side.CLIENT, size=5)
    assert stream.feed(other) == [other]
    opaque = Opaque(at_us=1, stream=1, side=Side.SERVER, size=5)
    assert stream.feed(opaque) == [piece(b"a sk"), opaque]


def test_a_secret_too_long_to_withhold_is_replaced_to_its_end() -> None:
    secret = b"sk-" + b"a1B2" * 3000
    text = b"say " + secret + b" ok"
    made = body(text, *range(500, len(text), 500))
    assert made.startswith(b"say sk-")
    assert made.endswith(b" ok")
    for place in range(0, len(secret) - 40, 40):
        assert secret[place : place + 40] not in made


def test_switched_off_it_writes_everything_and_says_so() -> None:
    events = [request((b"Authorization", b"Bearer " + KEY)), piece(KEY[:5])]
    assert redacted(events, rules=RedactionRules.off()) == events
    assert RedactionRules.off().names == ("off",)
    assert RULES.names == ("built-in", "environment", "headers", "fields", "patterns")
    assert RedactionRules().names == ("built-in",)


@pytest.mark.parametrize("wrong", [{"patterns": ("(",)}, {"fields": ("a b",)}, {"fields": ("--",)}])
def test_rules_that_cannot_be_meant_are_refused(wrong: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(UsageError, match="redaction"):
        RedactionRules(**wrong)  # type: ignore[arg-type]


USERS = (LITERAL, b"CUST-123456")
AWKWARD = 'pa"ss\\w0rd/1+é='


@pytest.mark.parametrize(
    "text",
    [
        AWKWARD,
        json.dumps({"a": AWKWARD}),
        json.dumps({"a": AWKWARD}, ensure_ascii=False),
        json.dumps({"a": json.dumps({"b": AWKWARD}, ensure_ascii=False)}, ensure_ascii=False),
        "/p?next=" + quote(AWKWARD, safe=""),
    ],
)
def test_a_literal_is_found_however_it_is_spelled_and_cut(text: str) -> None:
    rules = RedactionRules(literals=(AWKWARD.encode(),))
    raw = text.encode()
    whole = body(raw, rules=rules)
    assert b"w0rd" in raw
    assert b"w0rd" not in whole
    if raw.startswith(b"{"):
        json.loads(whole)
    for cut in range(len(raw) + 1):
        assert body(raw, cut, rules=rules) == whole


@pytest.mark.parametrize(
    ("name", "value", "harmless"),
    [
        ("sig", "abcd1234", "signed"),
        ("X-Amz-Signature", "abcd1234", "X-Amz-Date"),
        ("ticket", "abcd1234", "tickets"),
        ("code", OPAQUE.decode(), "code_challenge_method"),
        ("api_key", "abcd1234", "api_keys"),
    ],
)
def test_the_canonical_form_hides_the_parameters_that_redaction_replaces(name: str, value: str, harmless: str) -> None:
    target = Redactor(RULES, salt=SALT).head(request(target=f"/p?{name}={value}".encode())).target.decode()
    recorded = target.partition("=")[2]
    assert recorded != value
    for seen in (value, recorded):
        assert SecretClasses().mask(seen, name, parameter=True) == "<secret 1>"
        assert SecretClasses().mask("abcd1234", harmless, parameter=True) == "abcd1234"
    assert SecretClasses().mask("JIRA-1234", "ticket") == "JIRA-1234"


# The canonical form takes JSON apart first, and knows no rules of users.
@pytest.mark.parametrize("text", [text for text, secret in BODIES if text[:1] != b"{" and secret not in USERS])
def test_the_canonical_form_of_a_recorded_and_a_live_secret_is_one(text: bytes) -> None:
    live, recorded = text.decode(), body(text).decode()
    assert SecretClasses().mask(live, "content") == SecretClasses().mask(recorded, "content")
    assert "<secret 1>" in SecretClasses().mask(live, "content")


def test_the_canonical_form_sees_which_secrets_are_equal_and_not_their_values() -> None:
    secrets = SecretClasses()
    key = KEY.decode()
    assert secrets.mask(f"use {key}", "content") == "use <secret 1>"
    assert secrets.mask("hunter2", "password") == "<secret 2>"
    assert secrets.mask(key, "api_key") == "<secret 1>"
    assert secrets.mask("Hello", "token") == "Hello"
