"""Whose request it is."""

from __future__ import annotations

import base64
import json

import pytest

from gp_replay.core.identity import owner_of
from gp_replay.core.model import RequestHead, Side


def segment(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def jwt(claims: object) -> bytes:
    return b".".join((segment(b'{"alg":"HS256"}'), segment(json.dumps(claims).encode()), b"c2ln"))


def head(*headers: tuple[bytes, bytes], target: bytes = b"/") -> RequestHead:
    return RequestHead(
        at_us=0, stream=1, side=Side.CLIENT, method=b"GET", target=target, version=b"HTTP/1.1", headers=headers
    )


ANN, BOB, CAT = (jwt({"sub": name, "exp": 1}) for name in ("ann", "bob", "cat"))
PROTOCOL = b"Sec-WebSocket-Protocol"


@pytest.mark.parametrize(
    ("request_head", "owner"),
    [
        (head((b"Authorization", b"Bearer " + ANN)), "ann"),
        (head((b"authorization", b"bearer  " + ANN)), "ann"),
        (head((PROTOCOL, b"jwt-auth, jwt." + ANN)), "ann"),
        (head((PROTOCOL, b"jwt-auth." + ANN)), "ann"),
        (head((PROTOCOL, b"chat, bearer." + ANN)), "ann"),
        (head((PROTOCOL, b"jwt." + segment(ANN))), "ann"),
        (head((PROTOCOL, b"base64url.bearer.authorization.k8s.io." + segment(ANN) + b", v4.channel.k8s.io")), "ann"),
        (head((PROTOCOL, b"authorization.bearer." + ANN)), "ann"),
        (head((PROTOCOL, b"jwt." + base64.urlsafe_b64encode(ANN))), "ann"),
        (head(target=b"/ws?token=" + ANN), "ann"),
        (head(target=b"/ws?x=1&access_token=" + ANN), "ann"),
        (head(target=b"/ws?jwt=" + ANN), "ann"),
        (head((b"Authorization", b"Bearer " + ANN), (PROTOCOL, b"jwt." + BOB), target=b"/?token=" + CAT), "ann"),
        (head((PROTOCOL, b"jwt." + BOB), target=b"/?token=" + CAT), "bob"),
        (head((b"Authorization", b"Bearer sk-not-a-jwt"), target=b"/?token=" + CAT), "cat"),
        (head(), None),
        (head((b"Authorization", b"Basic " + ANN)), None),
        (head((PROTOCOL, b"jwt.short")), None),
        (head((PROTOCOL, b"graphql-transport-ws")), None),
        (head(target=b"/ws?page=" + ANN), None),
    ],
)
def test_the_first_token_with_a_subject_says_who(request_head: RequestHead, owner: str | None) -> None:
    assert owner_of(request_head) == owner


@pytest.mark.parametrize(
    "token",
    [
        jwt({"sub": 7}),
        jwt({"sub": None}),
        jwt({"sub": ["a"]}),
        jwt({"sub": ""}),
        jwt({"sub": "x" * 257}),
        jwt(["sub"]),
        jwt({"exp": 1}),
        jwt({"sub": "x", "pad": "y" * 100_000}),
        b".".join((segment(b"{}"), segment(b'{"sub":"a","x":' + b"[" * 5000), b"s")),
        b".".join((segment(b"{}"), segment(b'{"sub":"\xff\xfe"}'), b"s")),
        b".".join((segment(b"{}"), segment(b'{"sub":"\\ud800"}'), b"s")),
        b"a.b.c",
        b"...",
        b"\xff" * 50,
        b"." * 10_000,
        b"",
    ],
)
def test_hostile_tokens_say_nothing_wherever_they_stand(token: bytes) -> None:
    assert owner_of(head((b"Authorization", b"Bearer " + token))) is None
    assert owner_of(head((PROTOCOL, b"jwt." + token + b", jwt." + segment(token)))) is None
    assert owner_of(head(target=b"/?token=" + token)) is None
