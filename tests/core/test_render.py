"""Recorded answers as bytes for a live client."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dialogue import SERVER, ask, cassette

from gp_replay.core.model import Event, Headers, Piece, RequestHead, ResponseHead, Side
from gp_replay.core.render import AnswerRenderer, HandshakeRenderer, accept_key, problem_answer
from gp_replay.core.rules import Rules
from gp_replay.core.script import StreamScript, compile
from gp_replay.errors import WireError


def live(headers: Headers = (), *, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> RequestHead:
    return RequestHead(
        at_us=0, stream=1, side=Side.CLIENT, method=method, target=b"/", version=version, headers=headers
    )


def script_of(events: list[Event]) -> StreamScript:
    script = compile(cassette(events), {"default": SERVER}, Rules())
    return script.stream(script.entries[0])


def rendered(events: list[Event], request: RequestHead) -> tuple[bytes, AnswerRenderer]:
    script = script_of(events)
    renderer = AnswerRenderer(script, live=request, label="tape#1")
    return b"".join(renderer.render(step.event) for step in script.steps), renderer


CHUNKED = ask(1, "GET", "/", answer=[(1, "hello"), (2, ""), (3, "world")])


def test_chunks_keep_their_sizes_and_an_empty_one_does_not_end_the_body() -> None:
    data, renderer = rendered(CHUNKED, live())
    head, _, body = data.partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-gp-replay: tape#1"
    assert body == b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"
    assert not renderer.closes


def test_a_chunk_in_several_pieces_is_announced_whole_and_an_unfinished_one_stays_unfinished() -> None:
    pieces = [event for event in CHUNKED if isinstance(event, Piece)]
    cut = [
        *[event for event in CHUNKED if not isinstance(event, Piece)][:-1],
        replace(pieces[0], ends_chunk=False),
        replace(pieces[2], ends_chunk=True),
        replace(pieces[0], at_us=4_000, ends_chunk=False),
    ]
    data, _ = rendered(sorted(cut, key=lambda event: event.at_us), live())
    assert data.endswith(b"a\r\nhelloworld\r\n6\r\nhello")


def test_a_head_request_gets_no_body_and_a_1_0_client_no_chunks() -> None:
    assert rendered(CHUNKED, live(method=b"HEAD"))[0].endswith(b"x-gp-replay: tape#1\r\n\r\n")
    data, renderer = rendered(CHUNKED, live(version=b"HTTP/1.0"))
    assert data.endswith(b"\r\n\r\nhelloworld")
    assert b"Transfer-Encoding" not in data
    assert renderer.closes


@pytest.mark.parametrize(
    ("recorded", "asked", "closes"),
    [
        ((b"Content-Length", b"10"), (), False),
        ((b"Content-Length", b"10"), ((b"Connection", b"close"),), True),
        ((b"Connection", b"close"), (), True),
        ((b"X", b"y"), (), True),
    ],
)
def test_the_connection_ends_where_the_answer_says_so_or_has_no_other_end(
    recorded: tuple[bytes, bytes], asked: Headers, closes: bool
) -> None:
    events = ask(1, "GET", "/", answer=[(1, "helloworld")], answer_headers=(recorded,))
    assert rendered(events, live(asked))[1].closes is closes


def test_a_recorded_coding_is_left_off_for_a_client_that_does_not_take_it() -> None:
    events = ask(
        1,
        "GET",
        "/",
        answer=[(1, "hello")],
        answer_headers=((b"Content-Encoding", b"gzip"), (b"Content-Length", b"25")),
    )
    events = [replace(event, coding="gzip") if isinstance(event, ResponseHead) else event for event in events]
    data, _ = rendered(events, live())
    assert b"Content-Encoding" not in data
    assert b"Content-Length: 5\r\n" in data
    assert b"Content-Encoding: gzip" in rendered(events, live(((b"Accept-Encoding", b"gzip"),)))[0]


def test_the_accept_key_is_the_rfcs() -> None:
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


GOOD: Headers = (
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
)


def test_a_101_keeps_what_was_recorded_but_for_this_clients_key_and_extensions() -> None:
    head = ResponseHead(
        at_us=0,
        stream=1,
        side=SERVER,
        version=b"HTTP/1.1",
        status=101,
        reason=b"Switching Protocols",
        headers=(
            (b"uPgrade", b"websocket"),
            (b"Sec-WebSocket-Accept", b"old"),
            (b"Sec-WebSocket-Protocol", b"chat"),
            (b"Sec-WebSocket-Extensions", b"permessage-deflate; server_no_context_takeover"),
        ),
    )
    plain = HandshakeRenderer(live=live(GOOD))
    text = plain.render(head, label="tape#1")
    assert b"uPgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in text
    assert b"Sec-WebSocket-Protocol: chat\r\nx-gp-replay: tape#1\r\n\r\n" in text
    assert plain.deflate is None
    offering = HandshakeRenderer(live=live((*GOOD, (b"Sec-WebSocket-Extensions", b"permessage-deflate"))))
    assert b"Extensions: permessage-deflate; server_no_context_takeover\r\n" in offering.render(head, label="x")
    assert offering.deflate is not None


@pytest.mark.parametrize("missing", range(2, 4))
def test_what_is_no_handshake_is_named(missing: int) -> None:
    headers = tuple(field for number, field in enumerate(GOOD) if number != missing)
    with pytest.raises(WireError, match="sec-websocket-"):
        HandshakeRenderer(live=live(headers))
    with pytest.raises(WireError, match="GET"):
        HandshakeRenderer(live=live(GOOD, method=b"POST"))


def test_an_answer_of_our_own_is_never_retried() -> None:
    answer = problem_answer(424, b"{}", served_by="miss", close=True)
    assert answer.startswith(b"HTTP/1.1 424 Failed Dependency\r\n")
    assert b"x-should-retry: false\r\n" in answer
    assert b"Connection: close\r\n" in answer
