"""Texts with secrets in them, and events that carry them: for the tests of redaction."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from itertools import pairwise

from gp_replay.core.model import Event, Fragment, Message, Opcode, Piece, RequestHead, ResponseHead, Side
from gp_replay.core.redaction import RedactionRules, Redactor

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
OPAQUE = b"a1B2c3D4e5F6g7H8i9J0k1L2"
# A JWE whose key was agreed upon has an empty second part.
JWE = b".".join(
    (
        segment(b'{"alg":"dir","enc":"A256GCM"}'),
        b"",
        *map(segment, (b"12 bytes of ", b"cipher text", b"16 bytes of tags")),
    )
)

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
            b"gsk_" + OPAQUE * 2,
            b"sk_live_" + OPAQUE,
            b"nvapi-" + OPAQUE * 2,
            b"pplx-" + OPAQUE * 2,
            b"ya29." + OPAQUE * 2,
            JWE,
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
    (rb'{"text":"\u6f22sk-abcdefghij0123456789ABCD"}', b"sk-abcdefghij0123456789ABCD"),
    (b'{"headers":{"Authorization": [ "Bearer hunter2" ]}}', b"hunter2"),
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
