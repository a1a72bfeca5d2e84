"""What the player is asked: role, target and what the client put before it; and how a miss is answered."""

from __future__ import annotations

import json

import pytest
from dialogue import SERVER, ask, cassette

from gp_replay.core.http1 import RequestLine
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Protocol
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile
from gp_replay.net.asking import miss_answer, request_of
from gp_replay.net.stage import Stage


def line(*headers: tuple[bytes, bytes]) -> RequestLine:
    return RequestLine(method=b"GET", target=b"/whatever", version=b"HTTP/1.1", headers=headers)


def stage() -> Stage:
    return Stage([("tape", compile(cassette(ask(1, "GET", "/x", role="llm")), {"llm": SERVER}, Rules()))])


@pytest.mark.parametrize(
    ("target", "namespace", "listener", "role", "left", "base"),
    [
        (b"/x?a=1", None, None, None, b"/x?a=1", "me:1"),
        (b"/llm/x", None, None, "llm", b"/x", "me:1/llm"),
        (b"/llm", None, None, "llm", b"/", "me:1/llm"),
        (b"/llm?a=1", "n", None, "llm", b"/?a=1", "me:1/~n/llm"),
        (b"/x", "n", None, None, b"/x", "me:1/~n"),
        (b"/llm/x", "n", "llm", "llm", b"/llm/x", "me:1/~n"),
    ],
)
def test_role_and_target_and_base(
    target: bytes, namespace: str | None, listener: str | None, role: str | None, left: bytes, base: str
) -> None:
    said = line((b"Host", b"me:1"))
    request = request_of(said, b"body", target=target, namespace=namespace, role=listener, stage=stage())
    assert (request.role, request.head.target, request.base, request.body) == (role, left, base, b"body")
    assert request.protocol is Protocol.HTTP


def test_an_upgrade_asks_for_a_websocket_and_no_host_leaves_the_base_unknown() -> None:
    said = line((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"))
    request = request_of(said, b"", target=b"/llm/x", namespace="n", role=None, stage=stage())
    assert request.protocol is Protocol.WEBSOCKET
    assert request.base == ""


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_miss_has_its_length_and_only_a_head_has_no_body(method: bytes) -> None:
    answer = miss_answer(Refusal(kind="no-match", reason="GET /", close_code=4404, hint="do this"), method, close=True)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 424 ")
    assert b"\r\nConnection: close" in head
    if method == b"HEAD":
        assert body == b""
        assert b"Content-Length: 0" not in head
    else:
        assert b"Content-Length: %d\r\n" % len(body) in head
        assert json.loads(body)["error"]["hint"] == "do this"
