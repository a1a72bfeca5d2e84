"""The tap, without sockets: bytes of both sides in, events out."""

from __future__ import annotations

import gzip
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.frames import Opcode as FrameOpcode

from gp_replay.core.http1 import RequestLine, RequestReader
from gp_replay.core.model import (
    Close,
    End,
    Event,
    Gone,
    How,
    Message,
    Opaque,
    Opened,
    Piece,
    Protocol,
    RequestHead,
    ResponseHead,
    Side,
)
from gp_replay.core.recorder import Tap

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class Bench:
    """A tap whose clock is the number of reads, and what it said."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.over: list[int] = []
        self.now = 0
        self.tap = Tap(number=itertools.count(1).__next__, sink=self)
        self.reader = RequestReader()

    def take(self, event: Event) -> None:
        assert event.stream not in self.over
        self.events.append(event)

    def done(self, stream: int) -> None:
        self.over.append(stream)

    def client(self, data: bytes, *, skip: bool = False) -> None:
        self.now += 1
        while data:
            if self.tap.upgraded:
                self.tap.client_bytes(data, at_us=self.now)
                return
            used, items = self.reader.feed(data)
            if items and isinstance(items[0], RequestLine):
                line = items[0]
                self.tap.request(line, target=line.target, role="r", owner=None, at_us=self.now, skip=skip)
                items = items[1:]
            self.tap.request_items(items, at_us=self.now)
            data = data[used:]

    def server(self, data: bytes) -> None:
        self.now += 1
        self.tap.server_bytes(data, at_us=self.now)

    def kinds(self) -> list[str]:
        return [f"{type(event).__name__}{'<' if event.side is Side.SERVER else '>'}" for event in self.events]


def frame(opcode: int, data: bytes, *, fin: bool = True, mask: bool = False) -> bytes:
    return Frame(FrameOpcode(opcode), data, fin).serialize(mask=mask)


def test_one_exchange_from_head_to_end() -> None:
    bench = Bench()
    bench.client(b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe")
    bench.client(b"llo")
    bench.server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2")
    bench.server(b"\r\nde\r\n0\r\n\r\n")
    assert bench.kinds() == [
        "Opened>", "RequestHead>", "Piece>", "Piece>", "End>", "ResponseHead<", "Piece<", "Piece<", "End<",
    ]  # fmt: skip
    assert [(event.at_us, event.data) for event in bench.events if isinstance(event, Piece)] == [
        (1, b"he"), (2, b"llo"), (3, b"abc"), (4, b"de"),
    ]  # fmt: skip
    assert bench.over == [1]
    assert bench.tap.idle


def test_pipelined_answers_belong_to_their_requests_in_order() -> None:
    bench = Bench()
    bench.client(b"HEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
    bench.server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No\r\n\r\n")
    assert [(event.stream, event.status) for event in bench.events if isinstance(event, ResponseHead)] == [
        (1, 200),
        (2, 204),
    ]
    assert bench.over == [1, 2]


def test_an_answer_before_the_request_has_ended_leaves_the_request_to_its_stream() -> None:
    bench = Bench()
    bench.client(b"POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\nab")
    bench.server(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    assert bench.over == []
    bench.client(b"cd")
    assert bench.over == [1]
    assert {event.stream for event in bench.events} == {1}


def test_frames_follow_a_101_even_in_the_same_read() -> None:
    bench = Bench()
    bench.client(UPGRADE)
    assert bench.tap.switching
    bench.server(SWITCH + frame(1, b"welcome"))
    assert not bench.tap.switching
    bench.client(frame(1, b"hi", mask=True) + frame(8, b"\x03\xe8", mask=True))
    bench.server(frame(1, b"fr", fin=False))
    bench.server(frame(0, b"ag") + frame(8, b"\x03\xe8bye"))
    messages = [event for event in bench.events if isinstance(event, Message)]
    assert [(event.side, event.data) for event in messages] == [
        (Side.SERVER, b"welcome"), (Side.CLIENT, b"hi"), (Side.SERVER, b"frag"),
    ]  # fmt: skip
    assert [(part.length, part.at_us) for part in messages[2].fragments] == [(2, 4), (2, 5)]
    assert [(event.code, event.reason) for event in bench.events if isinstance(event, Close)] == [
        (1000, b""),
        (1000, b"bye"),
    ]
    assert next(event for event in bench.events if isinstance(event, Opened)).protocol is Protocol.WEBSOCKET
    assert not any(isinstance(event, End) for event in bench.events)


def test_a_refused_upgrade_has_a_body_and_the_connection_goes_on_with_http() -> None:
    bench = Bench()
    bench.client(UPGRADE)
    bench.server(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope")
    assert not bench.tap.switching
    assert bench.over == [1]
    bench.client(b"GET /y HTTP/1.1\r\n\r\n")
    assert sum(isinstance(event, RequestHead) for event in bench.events) == 2


@pytest.mark.parametrize(
    "garbage",
    [b"\xff\xff\xff\xff", b"\x83\x01x", frame(1, b"masked", mask=True), b"\xc1\x01x"],
    ids=["no opcode", "a reserved opcode", "a masked one", "an unknown extension"],
)
def test_what_is_no_frame_is_counted_and_never_kept(garbage: bytes) -> None:
    bench = Bench()
    bench.client(UPGRADE)
    bench.server(SWITCH + frame(1, b"ok"))
    bench.server(garbage)
    bench.server(b"more")
    assert [event.size for event in bench.events if isinstance(event, Opaque)] == [len(garbage), 4]
    assert [event.data for event in bench.events if isinstance(event, Message)] == [b"ok"]


def test_an_upgrade_to_another_protocol_is_opaque() -> None:
    bench = Bench()
    bench.client(UPGRADE)
    bench.server(SWITCH.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: x-odd\r\n\r\n"))
    bench.server(b"1234")
    bench.client(b"123456")
    assert [(event.side, event.size) for event in bench.events if isinstance(event, Opaque)] == [
        (Side.SERVER, 4),
        (Side.CLIENT, 6),
    ]


def test_a_coding_is_undone_piece_by_piece_and_one_that_cannot_be_is_counted() -> None:
    packed = gzip.compress(b"hello world")
    bench = Bench()
    bench.client(b"GET /x HTTP/1.1\r\n\r\nGET /y HTTP/1.1\r\n\r\n")
    bench.server(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed))
    for byte in packed:
        bench.server(bytes([byte]))
    bench.server(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc")
    assert b"".join(event.data for event in bench.events if isinstance(event, Piece)) == b"hello world"
    assert [event.size for event in bench.events if isinstance(event, Opaque)] == [3]
    assert bench.over == [1, 2]


@pytest.mark.parametrize("how", [How.EOF, How.RESET])
def test_a_server_that_goes_leaves_the_open_exchange_broken_off(how: How) -> None:
    bench = Bench()
    bench.client(b"GET /x HTTP/1.1\r\n\r\n")
    bench.server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    bench.tap.server_gone(how, at_us=9)
    assert bench.events[-1] == Gone(at_us=9, stream=1, side=Side.SERVER, how=how)
    assert bench.over == [1]


def test_a_server_that_closes_ends_a_body_without_length() -> None:
    bench = Bench()
    bench.client(b"GET /x HTTP/1.1\r\n\r\n")
    bench.server(b"HTTP/1.1 200 OK\r\n\r\nall")
    bench.tap.server_gone(How.EOF, at_us=9)
    assert bench.kinds()[-2:] == ["Piece<", "End<"]


def test_a_client_that_half_closes_may_still_be_answered() -> None:
    bench = Bench()
    bench.client(b"GET /x HTTP/1.1\r\n\r\n")
    bench.tap.client_gone(How.EOF, at_us=5)
    assert bench.over == []
    bench.server(b"HTTP/1.1 204 No\r\n\r\n")
    assert bench.over == [1]


def test_a_skipped_exchange_is_followed_and_nothing_of_it_is_said() -> None:
    bench = Bench()
    bench.client(b"GET /health HTTP/1.1\r\n\r\n", skip=True)
    bench.server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    bench.client(b"GET /x HTTP/1.1\r\n\r\n")
    bench.server(b"HTTP/1.1 204 No\r\n\r\n")
    assert {event.stream for event in bench.events} == {1}
    assert [event.target for event in bench.events if isinstance(event, RequestHead)] == [b"/x"]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.booleans())
def test_no_bytes_of_a_server_make_a_tap_fail(reads: list[bytes], upgrade: bool) -> None:
    bench = Bench()
    bench.client(UPGRADE if upgrade else b"GET /x HTTP/1.1\r\n\r\n")
    if upgrade:
        bench.server(SWITCH)
    for data in reads:
        bench.server(data)
    bench.tap.server_gone(How.EOF, at_us=99)
    assert bench.over in ([1], [])


def test_a_request_on_a_connection_the_server_had_closed_meets_a_server_that_is_gone() -> None:
    bench = Bench()
    bench.client(b"GET /a HTTP/1.1\r\n\r\n")
    bench.server(b"HTTP/1.1 204 No Content\r\n\r\n")
    bench.tap.server_gone(How.EOF, at_us=50)
    bench.client(b"POST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    late = [event for event in bench.events if event.stream == 2]
    assert [type(event).__name__ for event in late] == ["Opened", "RequestHead", "Piece", "End", "Gone"]
    assert late[-1].side is Side.SERVER
    assert bench.over == [1, 2]
