"""What a handshake says beyond the hard facts: it ranks, and decides only where one recording has all of it."""

from __future__ import annotations

import pytest
from dialogue import cassette, chat

from gp_replay.core.bindings import Bindings
from gp_replay.core.evidence import by_evidence, differing_headers, redacted_heads
from gp_replay.core.explain import Recorded
from gp_replay.core.model import Event, Headers, RequestHead, Side
from gp_replay.core.playing import Candidate
from gp_replay.core.redaction import RedactionRules, Redactor
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast

SALT = b"0123456789abcdef"
ALICE, BOB = b"Bearer sk-alice-0ZkQ9sHk2mVx81Lq7bRt", b"Bearer sk-bobby-7bRt4wNc5yPd20Ua0ZkQ"


def head(*headers: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(
        at_us=0, stream=1, side=Side.CLIENT, method=b"GET", target=b"/ws", version=b"HTTP/1.1", headers=headers
    )


def recorded(*handshakes: Headers) -> list[Candidate]:
    """Candidates as a recorder would have kept them: credentials by pseudonym."""
    redactor = Redactor(RedactionRules(), salt=SALT)
    streams: list[list[Event]] = []
    for number, headers in enumerate(handshakes, 1):
        kept = redactor.head(head(*headers)).headers
        streams.append(chat(number, f"5 < hello {number}", headers=kept))
    tape = cassette(*streams)
    script = compile(tape, server_cast(tape), Rules())
    return [
        Candidate.begin(
            Recorded(number=number, cassette="tape", script=script, entry=entry),
            script.stream(entry),
            bindings=Bindings(),
            now_us=0,
            heard=1,
        )
        for number, entry in enumerate(script.entries)
    ]


def left(candidates: list[Candidate], *live: tuple[bytes, bytes]) -> list[int]:
    ranked = by_evidence(candidates, redacted_heads(head(*live), candidates))
    return [item.recorded.entry.stream for item in ranked]


def test_the_one_that_alone_agrees_in_everything_that_differs_is_left_alone() -> None:
    candidates = recorded(
        ((b"User-Agent", b"web"), (b"Origin", b"http://a")), ((b"User-Agent", b"cli"), (b"Origin", b"http://a"))
    )
    assert left(candidates, (b"user-agent", b"cli"), (b"Origin", b"http://elsewhere")) == [2]


def test_agreeing_in_more_comes_first_and_equals_stay_in_recorded_order() -> None:
    candidates = recorded(
        ((b"User-Agent", b"web"), (b"X-Tab", b"1")),
        ((b"User-Agent", b"cli"), (b"X-Tab", b"1")),
        ((b"User-Agent", b"cli"), (b"X-Tab", b"2")),
    )
    assert left(candidates, (b"User-Agent", b"cli"), (b"X-Tab", b"9")) == [2, 3, 1]
    assert left(candidates, (b"User-Agent", b"curl")) == [1, 2, 3]


def test_two_that_agree_in_everything_are_both_left() -> None:
    candidates = recorded(((b"User-Agent", b"a"),), ((b"User-Agent", b"b"),), ((b"User-Agent", b"b"),))
    assert left(candidates, (b"User-Agent", b"b")) == [2, 3, 1]


@pytest.mark.parametrize(("credential", "stream"), [(ALICE, 1), (BOB, 2)])
def test_a_credential_is_compared_by_its_pseudonym(credential: bytes, stream: int) -> None:
    candidates = recorded(((b"Authorization", ALICE),), ((b"Authorization", BOB),))
    assert all(ALICE not in dict(item.script.head.headers).values() for item in candidates)
    assert left(candidates, (b"Authorization", credential)) == [stream]


def test_a_short_secret_is_an_ordinal_and_no_evidence() -> None:
    candidates = recorded(((b"X-Api-Key", b"s3cret-a"),), ((b"X-Api-Key", b"s3cret-b"),))
    assert left(candidates, (b"X-Api-Key", b"s3cret-b")) == [1, 2]


@pytest.mark.parametrize("name", [b"Sec-WebSocket-Key", b"Host", b"Connection", b"X-Request-Id", b"Traceparent"])
def test_headers_of_one_hop_or_one_request_are_no_evidence(name: bytes) -> None:
    heads = [head((name, b"a"), (b"Origin", b"x")), head((name, b"b"), (b"Origin", b"x"))]
    assert differing_headers(heads) == []
    candidates = recorded(((name, b"a"),), ((name, b"b"),))
    assert left(candidates, (name, b"b")) == [1, 2]


def test_headers_that_differ_are_named_in_lower_case_and_order() -> None:
    heads = [
        head((b"X-Tab", b"1"), (b"Accept", b"a"), (b"Accept", b"b"), (b"Same", b"s")),
        head((b"x-tab", b"2"), (b"accept", b"b"), (b"accept", b"a"), (b"same", b"s")),
        head((b"same", b"s")),
    ]
    assert differing_headers(heads) == [b"accept", b"x-tab"]
