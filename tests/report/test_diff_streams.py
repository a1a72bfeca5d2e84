from dataclasses import replace

import pytest
from dialogue import ask, chat
from hypothesis import given
from strategies import streams

from gp_replay.core.model import (
    Close,
    End,
    Event,
    Fragment,
    Gone,
    How,
    Message,
    Opaque,
    Piece,
    Ping,
    Pong,
    RequestHead,
    ResponseHead,
    Side,
)
from gp_replay.report.diff_streams import stream_differences

ASKED = ask(1, "POST", "/x?a=1", "{}", answer=[(10, "abcd"), (20, "efgh")])
CHATTED = [
    *chat(1, "5 > hello", "6 < welcome"),
    Ping(at_us=9000, stream=1, side=Side.SERVER, data=b"1"),
    Pong(at_us=9000, stream=1, side=Side.CLIENT, data=b"1"),
]


def changed(events: list[Event], kind: type[Event], side: Side, **changes: object) -> list[Event]:
    """The first event of this kind and side with other values."""
    at = next(n for n, event in enumerate(events) if type(event) is kind and event.side is side)
    return [*events[:at], replace(events[at], **changes), *events[at + 1 :]]  # type: ignore[arg-type]


def without(events: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if type(event) is not kind]


def told(a: list[Event], b: list[Event]) -> list[tuple[str, str, str | None, str | None, str]]:
    return [(item.kind.value, item.place, item.a, item.b, item.volatile) for item in stream_differences(a, b)]


C, S = Side.CLIENT, Side.SERVER
INTERIM = ResponseHead(at_us=0, stream=1, side=S, version=b"HTTP/1.1", status=103, reason=b"", headers=())


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (ASKED, changed(ASKED, RequestHead, C, method=b"PUT"), ("request", "request method", "POST", "PUT", "")),
        (ASKED, changed(ASKED, RequestHead, C, target=b"/y?a=1"), ("request", "request path", "/x", "/y", "")),
        (ASKED, changed(ASKED, RequestHead, C, target=b"/x?a=2"), ("request", "request query a", "1", "2", "")),
        (
            ASKED,
            changed(ASKED, RequestHead, C, target=b"/x?%61=1"),
            ("spelling", "request query", "?a=1", "?%61=1", ""),
        ),
        (
            ASKED,
            changed(ASKED, RequestHead, C, version=b"HTTP/1.0"),
            ("request", "request version", "HTTP/1.1", "HTTP/1.0", ""),
        ),
        (ASKED, without(ASKED, RequestHead), ("request", "request line", "POST /x?a=1", None, "")),
        (ASKED, changed(ASKED, ResponseHead, S, reason=b"Fine"), ("status", "response reason", "OK", "Fine", "")),
        (ASKED, changed(ASKED, ResponseHead, S, coding="gzip"), ("coding", "response coding", "", "gzip", "")),
        (ASKED, without(ASKED, ResponseHead), ("status", "response status", "200", None, "")),
        (ASKED, [*ASKED, INTERIM], ("status", "interim response status", None, "103", "")),
        (
            ASKED,
            changed(ASKED, End, S, trailers=((b"x-sum", b"1"),)),
            ("header", "response trailer header x-sum", None, "1", ""),
        ),
        (
            without(ASKED, End),
            [*without(ASKED, End), Gone(at_us=99999, stream=1, side=S, how=How.RESET)],
            ("ending", "server end", "open", "reset", ""),
        ),
        (
            changed(ASKED, Piece, S, ends_chunk=False),
            [event for event in ASKED if not isinstance(event, Piece) or event.side is C]
            + [Piece(at_us=1, stream=1, side=S, data=b"abcdefgh", ends_chunk=True)],
            ("boundaries", "response pieces", "2 pieces: 4, 4", "1 piece: 8", "reads"),
        ),
        (
            CHATTED,
            changed(CHATTED, Message, S, deflated=True),
            ("coding", "server message 1: compression", "not compressed", "compressed", ""),
        ),
        (
            CHATTED,
            changed(CHATTED, Message, C, fragments=(Fragment(length=2, at_us=0), Fragment(length=3, at_us=0))),
            ("boundaries", "client message 1: fragments", "0 fragments", "2 fragments: 2, 3", ""),
        ),
        (CHATTED, without(CHATTED, Ping), ("control", "server pings", "1", "0", "ambient")),
        (CHATTED, changed(CHATTED, Pong, C, data=b"2"), ("control", "client pong 1", "1", "2", "")),
        (CHATTED, changed(CHATTED, Close, S, reason=b"bye"), ("close", "server close reason", "", "bye", "")),
        (CHATTED, changed(CHATTED, Close, S, code=None), ("close", "server close code", "1000", "without code", "")),
        (
            CHATTED,
            [*CHATTED, Opaque(at_us=10_000, stream=1, side=C, size=7)],
            ("ending", "client opaque bytes", "0", "7", ""),
        ),
    ],
)
def test_one_change_is_one_difference(a: list[Event], b: list[Event], expected: tuple[str, ...]) -> None:
    assert told(a, b) == [expected]
    kind, place, one, other, volatile = expected
    assert told(b, a) == [(kind, place, other, one, volatile)]


def test_the_nonce_of_a_handshake_is_an_id_whatever_it_looks_like() -> None:
    one, other = (chat(1, headers=((b"Sec-WebSocket-Key", key),)) for key in (b"aaaa+/==", b"b"))
    assert told(one, other) == [("header", "request header Sec-WebSocket-Key", "aaaa+/==", "b", "id")]


def test_a_repeated_header_is_compared_by_occurrence() -> None:
    one, other = (ask(1, "GET", "/x", headers=((b"Cookie", b"a"), (b"cookie", last))) for last in (b"b", b"c"))
    assert told(one, other) == [("header", "request header cookie", "b", "c", "")]


@given(streams(1))
def test_times_are_no_difference(events: tuple[Event, ...]) -> None:
    later = [replace(event, at_us=event.at_us + 1_000) for event in events]
    assert list(stream_differences(events, later)) == []
