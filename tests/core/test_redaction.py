"""No secret reaches the disk, and nothing else is changed: every rule, for HTTP and for WebSocket alike."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gp_replay.core.model import (
    Close,
    End,
    Event,
    Fragment,
    Headers,
    Message,
    Opaque,
    Opcode,
    Piece,
    Ping,
    RequestHead,
    ResponseHead,
    Side,
)
from gp_replay.core.redaction import RedactionRules, Redactor, SecretClasses
from gp_replay.errors import UsageError

SALT = b"0123456789abcdef"
LITERAL = b"Correct-Horse-77-Battery"
RULES = RedactionRules(literals=(LITERAL,), fields=("x_ssn",), patterns=(r"CUST-\d{6}",), headers=frozenset({b"x-own"}))
BUILT_IN = RedactionRules(literals=(LITERAL,))


def segment(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


JWT = b".".join(
    (
        segment(b'{"alg":"HS256"}'),
        segment(b'{"sub":"ann","exp":1,"email":"ann@mail.example","role":"administrator"}'),
        segment(b"a signature of the token, 32 byte"),
    )
)
KEY = b"sk-proj-abcdefghij0123456789ABCD"

# What is secret in each text; the text must keep everything else.
BODIES: list[tuple[bytes, bytes]] = [
    *(
        (b'{"%s": "hunter2hunter2"}' % name.encode(), b"hunter2hunter2")
        for name in (
            "access_token",
            "refresh_token",
            "id_token",
            "api_key",
            "apikey",
            "apiKey",
            "API-KEY",
            "client_secret",
            "password",
            "passwd",
            "private_key",
            "authorization",
            "x_ssn",
        )
    ),
    *(
        (b"say %s now" % secret, secret)
        for secret in (
            KEY,
            b"sk-abcdefghij0123456789ABCD",
            b"sk-ant-api03-abcdefghij0123456789",
            b"AIzaSyA0123456789abcdefghijklmnopqrst",
            b"ghp_0123456789abcdefghijABCDEFGHIJ012345",
            b"gho_0123456789abcdefghijABCDEFGHIJ012345",
            b"github_pat_0123456789abcdefghij_ABCDEFGHIJ0123456789xyz",
            b"AKIAIOSFODNN7EXAMPLE",
            b"xai-0123456789abcdefABCDEF",
            b"glpat-0123456789abcdefABCDEF",
            JWT,
            LITERAL,
            b"CUST-123456",
        )
    ),
    (b"Authorization: Bearer a1b2C3d4E5f6G7h8I9j0", b"a1b2C3d4E5f6G7h8I9j0"),
    (b'{"authorization": "Bearer hunter2"}', b"hunter2"),
    (b'{"token": "a1b2C3d4E5f6G7h8"}', b"a1b2C3d4E5f6G7h8"),
    (b'{"key": "%s"}' % KEY, KEY),
    (b'{"a":[{"b":{"password":"x1"}}]}', b"x1"),
    (b'{"password" :\n "p\\"q1"}', b'p\\"q1'),
    (rb'{"args":"{\"api_key\":\"hunter2\"}"}', b"hunter2"),
    (rb'{"a":"{\"b\":\"{\\\"api_key\\\": \\\"hunter2\\\"}\"}"}', b"hunter2"),
    (rb'{"text":"line\nsk-abcdefghij0123456789ABCD"}', b"sk-abcdefghij0123456789ABCD"),
    (rb'{"text":"\u0073k-abcdefghij0123456789ABCD"}', b"k-abcdefghij0123456789ABCD"),
    (rb'{"text":"line\u000ask-abcdefghij0123456789ABCD"}', b"sk-abcdefghij0123456789ABCD"),
    (rb'{"api\u005fkey":"hunter2"}', b"hunter2"),
    (b"-----BEGIN PRIVATE KEY-----\nMIIEabcdef0123456789\n-----END PRIVATE KEY-----", b"MIIEabcdef0123456789"),
    (rb'{"k":"-----BEGIN RSA PRIVATE KEY-----\nMIIEabcd\nef01==\n-----END RSA PRIVATE KEY-----\n"}', b"MIIEabcd"),
]


def request(*headers: tuple[bytes, bytes], target: bytes = b"/") -> RequestHead:
    return RequestHead(
        at_us=0, stream=1, side=Side.CLIENT, method=b"POST", target=target, version=b"HTTP/1.1", headers=headers
    )


def response(*headers: tuple[bytes, bytes]) -> ResponseHead:
    return ResponseHead(
        at_us=0, stream=1, side=Side.SERVER, version=b"HTTP/1.1", status=200, reason=b"OK", headers=headers
    )


def piece(data: bytes) -> Piece:
    return Piece(at_us=1, stream=1, side=Side.SERVER, data=data)


def message(data: bytes, *lengths: int) -> Message:
    fragments = tuple(Fragment(length=length, at_us=1) for length in lengths)
    return Message(at_us=1, stream=1, side=Side.SERVER, opcode=Opcode.TEXT, data=data, fragments=fragments)


def redacted(
    events: Sequence[Event], *, rules: RedactionRules = RULES, redactor: Redactor | None = None
) -> list[Event]:
    stream = (redactor or Redactor(rules, salt=SALT)).stream()
    out = [done for event in events for done in stream.feed(event)] + stream.finish()
    assert len(out) == len(events)
    return out


def bodies(events: Sequence[Event]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Piece | Message)]


def body(data: bytes, *cuts: int, rules: RedactionRules = RULES, media: bytes = b"application/json") -> bytes:
    places = [0, *sorted(cuts), len(data)]
    pieces = [piece(data[low:high]) for low, high in pairwise(places)]
    out = bodies(redacted([response((b"Content-Type", media)), *pieces], rules=rules))
    assert [len(part) for part in out] == [len(part.data) for part in pieces]
    return b"".join(out)


def kept_around(text: bytes, secret: bytes, made: bytes) -> None:
    place = text.index(secret)
    assert len(made) == len(text)
    assert made[:place] == text[:place]
    assert made[place : place + len(secret)] != secret
    if not secret.startswith(b"MIIE"):
        assert made[place + len(secret) :] == text[place + len(secret) :]
    if text.startswith(b"{"):
        json.loads(made)


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


HEADERS: list[tuple[bytes, bytes, bytes]] = [
    (b"Authorization", b"Bearer " + KEY, KEY),
    (b"authorization", b"Bearer " + JWT, JWT),
    (b"Authorization", b"Basic dXNlcjpwYXNzd29yZA==", b"dXNlcjpwYXNzd29yZA=="),
    (b"Proxy-Authorization", b"Basic dXNlcjpwYXNz", b"dXNlcjpwYXNz"),
    *(
        (name, b"plain-key-1", b"plain-key-1")
        for name in (b"x-api-key", b"API-Key", b"x-goog-api-key", b"X-Auth-Token", b"x-amz-security-token", b"x-own")
    ),
    (b"Cookie", b"session=abc123", b"abc123"),
    (b"Set-Cookie", b"sid=abc123; Path=/; HttpOnly", b"abc123"),
    (b"Set-Cookie", b'sid="abc123"; Max-Age=60', b"abc123"),
    (b"Sec-WebSocket-Protocol", b"jwt-auth, jwt." + JWT, JWT),
    (b"Sec-WebSocket-Protocol", b"jwt-auth." + JWT, JWT),
    (b"Sec-WebSocket-Protocol", b"bearer." + segment(JWT), segment(JWT)),
    (b"Sec-WebSocket-Protocol", b"realtime, openai-insecure-api-key." + KEY + b", openai-beta.realtime-v1", KEY),
    (b"Referer", b"https://x.example/p?access_token=abc&x=1", b"abc"),
    (b"Location", b"/cb#access_token=abcd1234&state=5", b"abcd1234"),
    (b"Link", b'<https://x.example/?sig=abcd1234>; rel="next"', b"abcd1234"),
    (b"X-Anything", b"v=1; key " + KEY, KEY),
    (b"X-Anything", b"say " + LITERAL, LITERAL),
]


@pytest.mark.parametrize(("name", "value", "secret"), HEADERS)
def test_a_secret_in_a_header_or_trailer_is_replaced_and_nothing_else(name: bytes, value: bytes, secret: bytes) -> None:
    fields: Headers = ((b"Host", b"x.example"), (name, value))
    end = End(at_us=1, stream=1, side=Side.SERVER, trailers=fields)
    first, second, third = redacted([request(*fields), response(*fields), end])
    assert isinstance(first, RequestHead)
    assert isinstance(second, ResponseHead)
    assert isinstance(third, End)
    assert first.headers == second.headers == third.trailers
    assert first.headers[0] == fields[0]
    assert first.headers[1][0] == name
    kept_around(value, secret, first.headers[1][1])


@pytest.mark.parametrize(
    ("target", "secret"),
    [
        (b"/v1?api_key=abc123&x=1", b"abc123"),
        (b"/v1?x=1&access_token=" + JWT, JWT),
        (b"/f?X-Amz-Signature=0123abcd&X-Amz-Expires=5", b"0123abcd"),
        (b"/f?sv=2024&sig=a%2Fb%3D", b"a%2Fb%3D"),
        (b"/f?key=AIzaSyA0123456789abcdefghijklmnopqrst&alt=sse", b"AIzaSyA0123456789abcdefghijklmnopqrst"),
        (b"/f?x_ssn=12-34", b"12-34"),
        (b"/bot/" + KEY + b"/send", KEY),
    ],
)
def test_a_secret_in_a_target_is_replaced_and_nothing_else(target: bytes, secret: bytes) -> None:
    head = Redactor(RULES, salt=SALT).head(request(target=target))
    kept_around(target, secret, head.target)


@pytest.mark.parametrize(
    "head",
    [
        request(
            (b"Content-Type", b"application/json"),
            (b"User-Agent", b"OpenAI/Python 1.2.3"),
            (b"x-request-id", b"req_0123456789abcdef"),
            (b"Sec-WebSocket-Protocol", b"graphql-transport-ws, jwt-auth"),
            (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            target=b"/v1/keys?key=name&page_token=5&max_tokens=10&token=abc",
        ),
    ],
)
def test_ordinary_heads_stay(head: RequestHead) -> None:
    assert Redactor(BUILT_IN, salt=SALT).head(head) == head


def test_a_subprotocols_token_keeps_its_subject() -> None:
    head = Redactor(RULES, salt=SALT).head(request((b"Sec-WebSocket-Protocol", b"jwt." + segment(JWT))))
    made = base64.urlsafe_b64decode(head.headers[0][1][4:] + b"==")
    claims = json.loads(base64.urlsafe_b64decode(made.split(b".")[1] + b"=="))
    assert claims == {"sub": "ann", "exp": 1}


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


def test_the_canonical_form_sees_which_secrets_are_equal_and_not_their_values() -> None:
    secrets = SecretClasses()
    key = KEY.decode()
    assert secrets.mask(f"use {key}", "content") == "use <secret 1>"
    assert secrets.mask("hunter2", "password") == "<secret 2>"
    assert secrets.mask(key, "api_key") == "<secret 1>"
    assert secrets.mask("Hello", "token") == "Hello"
