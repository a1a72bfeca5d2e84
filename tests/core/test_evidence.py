"""What a handshake says beyond the hard facts, and what of it is evidence."""

from __future__ import annotations

import pytest

from gp_replay.core.evidence import differing_headers, redacted_heads, values_of
from gp_replay.core.model import RequestHead, Side

SALT = b"0123456789abcdef"
ALICE = b"Bearer sk-alice-0ZkQ9sHk2mVx81Lq7bRt"


def head(*headers: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(
        at_us=0, stream=1, side=Side.CLIENT, method=b"GET", target=b"/ws", version=b"HTTP/1.1", headers=headers
    )


def test_a_live_handshake_is_seen_as_each_recording_would_have_kept_it() -> None:
    live = head((b"Authorization", ALICE), (b"X-Api-Key", b"short"), (b"X-Tab", b"1"), (b"x-tab", b"2"))
    seen = redacted_heads(live, [SALT, b"another salt 123"])
    one, other = seen[SALT], seen[b"another salt 123"]
    assert one[b"x-tab"] == (b"1", b"2")
    assert one[b"authorization"] != other[b"authorization"]
    assert ALICE not in one[b"authorization"]
    assert b"x-api-key" not in one, "a short secret is an ordinal and no evidence"
    assert values_of(live.headers)[b"x-api-key"] == (b"short",)


@pytest.mark.parametrize("name", [b"Sec-WebSocket-Key", b"Host", b"Connection", b"X-Request-Id", b"Traceparent"])
def test_headers_of_one_hop_or_one_request_are_no_evidence(name: bytes) -> None:
    heads = [head((name, b"a"), (b"Origin", b"x")), head((name, b"b"), (b"Origin", b"x"))]
    assert differing_headers(heads) == []


def test_headers_that_differ_are_named_in_lower_case_and_order() -> None:
    heads = [
        head((b"X-Tab", b"1"), (b"Accept", b"a"), (b"Accept", b"b"), (b"Same", b"s")),
        head((b"x-tab", b"2"), (b"accept", b"b"), (b"accept", b"a"), (b"same", b"s")),
        head((b"same", b"s")),
    ]
    assert differing_headers(heads) == [b"accept", b"x-tab"]
