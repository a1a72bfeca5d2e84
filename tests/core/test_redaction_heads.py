"""No secret of a head reaches the disk: fields, cookies, subprotocols, targets."""

from __future__ import annotations

import base64
import json

import pytest
from redacting import (
    BUILT_IN,
    JWT,
    KEY,
    LITERAL,
    OPAQUE,
    RULES,
    SALT,
    kept_around,
    redacted,
    request,
    response,
    segment,
)

from gp_replay.core.model import End, Headers, RequestHead, ResponseHead, Side
from gp_replay.core.redaction import Redactor

HEADERS: list[tuple[bytes, bytes, bytes]] = [
    (b"Authorization", b"Bearer " + KEY, KEY),
    (b"authorization", b"Bearer " + JWT, JWT),
    (b"Authorization", b"Basic dXNlcjpwYXNzd29yZA==", b"dXNlcjpwYXNzd29yZA=="),
    (b"Proxy-Authorization", b"Basic dXNlcjpwYXNz", b"dXNlcjpwYXNz"),
    *(
        (name, b"plain-key-1", b"plain-key-1")
        for name in (b"x-api-key", b"API-Key", b"x-goog-api-key", b"X-Auth-Token", b"x-amz-security-token", b"x-own")
    ),
    *(
        (name, OPAQUE, OPAQUE)
        for name in (
            b"X-OpenAI-Api-Key",
            b"x-shopify-access-token",
            b"CF-Access-Client-Secret",
            b"X-Forwarded-Authorization",
        )
    ),
    *((name, OPAQUE, OPAQUE) for name in (b"Token", b"X-Token", b"access_token", b"Password", b"Authentication")),
    (b"Cookie", b'p={"token":"abc123"}', b'{"token":"abc123"}'),
    (b"Cookie", b'p=ab"c123; ', b'ab"c123'),
    (b"Cookie", b"abc123def", b"abc123def"),
    (b"Set-Cookie", b"abc123def; Path=/p1", b"abc123def"),
    (b"Sec-WebSocket-Protocol", b"base64url.bearer.authorization.k8s.io." + OPAQUE + b", v4.channel.k8s.io", OPAQUE),
    (b"Sec-WebSocket-Protocol", b"access_token, " + OPAQUE, OPAQUE),
    (b"Location", b"https://user:hunter2x@x.example/p@q", b"hunter2x"),
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


def test_every_cookie_is_replaced_and_of_a_set_cookie_only_the_value() -> None:
    redactor = Redactor(RULES, salt=SALT)
    (_, sent), (_, given) = redactor.headers(
        ((b"Cookie", b"a=secret1;  b = secret2 ;c"), (b"Set-Cookie", b"a=secret1; Domain=secret2; Expires=Mon, 01 Jan"))
    )
    assert [cookie.strip()[:1] for cookie in sent.split(b";")[:2]] == [b"a", b"b"]
    assert b"secret" not in sent
    assert given == sent.split(b";")[0] + b"; Domain=secret2; Expires=Mon, 01 Jan"
