import pytest
from hypothesis import given, settings
from strategies import cassettes

from gp_replay.core.document import from_document, ordered_events
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import (
    Close,
    End,
    Epoch,
    Event,
    Fragment,
    Gone,
    Header,
    How,
    Message,
    Opaque,
    Opcode,
    Opened,
    Origin,
    Piece,
    Ping,
    Pong,
    Protocol,
    RequestHead,
    ResponseHead,
    Role,
    Side,
)
from gp_replay.errors import UsageError
from gp_replay.report.show import show_json, show_lines

C, S = Side.CLIENT, Side.SERVER
HEADER = Header(
    name="golden\x1b[2J",
    recorded_at="2026-11-25T10:00:00Z",
    tool="gp-replay 0.1",
    origin=Origin.LIVE,
    roles=(Role(name="llm", url="http://llm"), Role(name="chat", url="ws://chat")),
    salt=b"\1" * 16,
    redaction=("default",),
    environment="staging",
    labels=(("ticket", "7"),),
)
EVENTS: list[Event] = [
    Opened(at_us=0, stream=1, side=C, protocol=Protocol.HTTP, role="llm", owner="alice"),
    RequestHead(
        at_us=100, stream=1, side=C, method=b"POST", target=b"/v1/x", version=b"HTTP/1.1", headers=((b"Host", b"llm"),)
    ),
    Piece(at_us=200, stream=1, side=C, data=b'{"model":"gpt-4o"}'),
    End(at_us=200, stream=1, side=C),
    ResponseHead(
        at_us=90_000, stream=1, side=S, version=b"HTTP/1.1", status=200, reason=b"OK", headers=(), coding="gzip"
    ),
    Piece(at_us=100_001, stream=1, side=S, data=b"data: {}\n\n", ends_chunk=True),
    End(at_us=100_002, stream=1, side=S, trailers=((b"X-Sum", b"1\x07"),)),
    Opened(at_us=5, stream=2, side=C, protocol=Protocol.WEBSOCKET, role="chat"),
    RequestHead(at_us=5, stream=2, side=C, method=b"GET", target=b"/ws", version=b"HTTP/1.1", headers=()),
    ResponseHead(at_us=6, stream=2, side=S, version=b"HTTP/1.1", status=101, reason=b"", headers=()),
    Message(
        at_us=2000,
        stream=2,
        side=C,
        opcode=Opcode.TEXT,
        data=b"hello",
        fragments=(Fragment(length=2, at_us=1500), Fragment(length=3, at_us=2000)),
        deflated=True,
    ),
    Message(at_us=2001, stream=2, side=S, opcode=Opcode.BINARY, data=b"\0\1"),
    Ping(at_us=2002, stream=2, side=S, data=b"p"),
    Pong(at_us=2003, stream=2, side=C, data=b""),
    Opaque(at_us=2004, stream=2, side=C, size=9),
    Close(at_us=2005, stream=2, side=S, code=1000, reason=b'b"ye'),
    Close(at_us=2006, stream=2, side=C, code=None),
    Gone(at_us=2007, stream=2, side=S, how=How.RESET),
]
TEXT = """\
cassette     golden\\x1b[2J
revision     1
recorded     2026-11-25T10:00:00Z
tool         gp-replay 0.1
origin       live
environment  staging
role         llm  http://llm
role         chat  ws://chat
redaction    default
salt         01010101010101010101010101010101
label        ticket = 7
models       gpt-4o
streams      2

stream 1  http  llm  owner alice  POST /v1/x  200  opened 0.000 ms  ended 100.002 ms  complete
       0.100 > POST /v1/x HTTP/1.1
               Host: llm
       0.200 > piece 18 bytes
               | {"model":"gpt-4o"}
       0.200 > end
      90.000 < HTTP/1.1 200 OK  (body was gzip, kept decoded)
     100.001 < piece 10 bytes, ends chunk
               | data: {}
               |
               |
     100.002 < end, 1 trailers
               X-Sum: 1\\x07

stream 2  websocket  chat  no owner  GET /ws  101  opened 0.005 ms  ended 2.007 ms  complete
       0.005 > GET /ws HTTP/1.1
       0.006 < HTTP/1.1 101
       2.000 > text message 5 bytes, deflated, 2 fragments: 2 at 1.500, 3 at 2.000
               | hello
       2.001 < binary message 2 bytes
               # 00000000  0001
       2.002 < ping 1 bytes
               | p
       2.003 > pong 0 bytes
       2.004 > opaque 9 bytes, not recorded
       2.005 < close 1000 "b\\"ye"
       2.006 > close without code
       2.007 < aborted: the transport broke
"""


def test_a_cassette_reads_from_top_to_bottom() -> None:
    assert "\n".join(show_lines(MemoryCassette(HEADER, EVENTS))) + "\n" == TEXT


def test_streams_can_be_chosen() -> None:
    lines = list(show_lines(MemoryCassette(HEADER, EVENTS), streams=[2]))
    assert [line[:8] for line in lines if line.startswith("stream ")] == ["stream 2"]


def test_a_stream_that_is_not_there_is_a_usage_error_at_once() -> None:
    with pytest.raises(UsageError, match="stream 7 is not in the cassette"):
        show_lines(MemoryCassette(HEADER, EVENTS), streams={7, 1})


def test_a_limit_says_how_many_bytes_it_left_out() -> None:
    lines = [line.strip() for line in show_lines(MemoryCassette(HEADER, EVENTS), max_bytes=4)]
    assert "[14 bytes left out]" in lines
    assert "[1 bytes left out]" in lines


def test_later_epochs_are_named() -> None:
    header = Header(
        name="n",
        recorded_at="2026-11-25T10:00:00Z",
        tool="t",
        origin=Origin.LIVE,
        roles=(),
        salt=b"",
        redaction=(),
        epochs=(Epoch(recorded_at="2026-11-26T10:00:00Z", first_stream=2),),
    )
    lines = list(show_lines(MemoryCassette(header, EVENTS)))
    assert "epoch        2 from stream 2, recorded 2026-11-26T10:00:00Z" in lines
    assert any(line.startswith("stream 2  epoch 2  websocket") for line in lines)


@settings(max_examples=100)
@given(cassettes())
def test_any_cassette_is_shown_the_same_twice_on_safe_lines(cassette: MemoryCassette) -> None:
    lines = list(show_lines(cassette))
    assert lines == list(show_lines(cassette))
    for line in lines:
        assert line.splitlines() in ([], [line])
        assert not any((ord(letter) < 32 and letter != "\t") or 127 <= ord(letter) < 160 for letter in line)


@settings(max_examples=50)
@given(cassettes(max_streams=2), cassettes(max_streams=2))
def test_cassettes_that_differ_read_differently(left: MemoryCassette, right: MemoryCassette) -> None:
    if list(show_lines(left)) == list(show_lines(right)):
        assert left.header == right.header
        assert ordered_events(left) == ordered_events(right)


def test_the_json_form_is_the_document() -> None:
    cassette = MemoryCassette(HEADER, EVENTS)
    assert from_document(show_json(cassette)) == (HEADER, ordered_events(cassette))
