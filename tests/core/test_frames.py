import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets import frames
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.protocol import CLIENT, SERVER, State
from websockets.protocol import Protocol as Endpoint

from gp_replay.core.frames import (
    DeflateParameters,
    FrameReader,
    FrameWriter,
    deflate_only,
    negotiated_deflate,
    render_deflate,
)
from gp_replay.core.model import Close, Event, Fragment, Message, Opcode, Ping, Pong, Side
from gp_replay.errors import WireError

PARAMETERS = st.builds(
    DeflateParameters,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=st.integers(9, 15),
    client_max_window_bits=st.integers(9, 15),
)
SIDES = st.sampled_from(Side)
# Repetitive, so that a lost compression context shows.
PARTS = st.lists(
    st.builds(
        lambda text, times: text * times,
        st.sampled_from([b"", b"abc", b"hello world", b"\xff\x00"]),
        st.integers(0, 90),
    ),
    min_size=1,
    max_size=3,
)


def message(side: Side, parts: list[bytes], *, opcode: Opcode = Opcode.TEXT, deflated: bool = False) -> Message:
    cuts = tuple(Fragment(length=len(part), at_us=5) for part in parts) if len(parts) > 1 else ()
    return Message(at_us=5, stream=1, side=side, opcode=opcode, data=b"".join(parts), fragments=cuts, deflated=deflated)


def reader(side: Side, deflate: DeflateParameters | None = None, **limits: int) -> FrameReader:
    return FrameReader(stream=1, side=side, deflate=deflate, **limits)


def endpoint(side: Side, deflate: DeflateParameters | None = None) -> Endpoint:
    """The library's own end of a connection, written without our values in between."""
    found = Endpoint(CLIENT if side is Side.CLIENT else SERVER, state=State.OPEN)
    if deflate is not None:
        server = (deflate.server_no_context_takeover, deflate.server_max_window_bits)
        client = (deflate.client_no_context_takeover, deflate.client_max_window_bits)
        local, remote = (client, server) if side is Side.CLIENT else (server, client)
        found.extensions = [PerMessageDeflate(remote[0], local[0], remote[1], local[1])]
    return found


def frame(opcode: frames.Opcode, data: bytes, *, fin: bool = True, mask: bool = False) -> bytes:
    return frames.Frame(opcode, data, fin).serialize(mask=mask)


PLAIN = b"".join(
    [
        frame(frames.Opcode.TEXT, b"he", fin=False),
        frame(frames.Opcode.PING, b"p"),
        frame(frames.Opcode.CONT, b"", fin=False),
        frame(frames.Opcode.CONT, b"llo"),
        frame(frames.Opcode.PONG, b""),
        frame(frames.Opcode.BINARY, b"\0" * 300),
        frame(frames.Opcode.CLOSE, b"\x0f\xa1bye"),
    ]
)
S = Side.SERVER
EVENTS: list[Event] = [
    Ping(at_us=5, stream=1, side=S, data=b"p"),
    message(S, [b"he", b"", b"llo"]),
    Pong(at_us=5, stream=1, side=S, data=b""),
    message(S, [b"\0" * 300], opcode=Opcode.BINARY),
    Close(at_us=5, stream=1, side=S, code=4001, reason=b"bye"),
]


def test_frames_read_the_same_however_they_are_cut() -> None:
    assert reader(S).feed(PLAIN, at_us=5) == EVENTS
    slow = reader(S)
    assert [event for n in range(len(PLAIN)) for event in slow.feed(PLAIN[n : n + 1], at_us=5)] == EVENTS
    for cut in range(1, len(PLAIN)):
        found = reader(S)
        assert found.feed(PLAIN[:cut], at_us=5) + found.feed(PLAIN[cut:], at_us=5) == EVENTS


def test_what_trails_a_close_frame_is_no_event() -> None:
    assert reader(S).feed(PLAIN + frame(frames.Opcode.TEXT, b"late"), at_us=5) == EVENTS


def test_fragments_keep_their_lengths_and_times() -> None:
    found = reader(S)
    assert found.feed(frame(frames.Opcode.TEXT, b"he", fin=False), at_us=1) == []
    assert found.within_message
    assert found.feed(frame(frames.Opcode.CONT, b"llo"), at_us=4) == [
        Message(
            at_us=4,
            stream=1,
            side=S,
            opcode=Opcode.TEXT,
            data=b"hello",
            fragments=(Fragment(length=2, at_us=1), Fragment(length=3, at_us=4)),
        )
    ]
    assert not found.within_message


@pytest.mark.parametrize(("data", "code"), [(b"", None), (b"\x03\xe8", 1000), (b"\x0f\xa1", 4001)])
def test_a_close_frame_may_have_no_code(data: bytes, code: int | None) -> None:
    (event,) = reader(S).feed(frame(frames.Opcode.CLOSE, data), at_us=0)
    assert event == Close(at_us=0, stream=1, side=S, code=code)


BAD = {
    "a reserved opcode": b"\x83\x00",
    "a reserved bit": b"\xc1\x01a",
    "a continuation of nothing": frame(frames.Opcode.CONT, b"a"),
    "a message within a message": frame(frames.Opcode.TEXT, b"a", fin=False) + frame(frames.Opcode.TEXT, b"b"),
    "a fragmented ping": b"\x09\x00",
    "a ping too long": b"\x89\x7e\x00\x7e" + bytes(126),
    "a masked frame from a server": frame(frames.Opcode.TEXT, b"a", mask=True),
    "a close frame of one byte": frame(frames.Opcode.CLOSE, b"\x03"),
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(100),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_frame_is_one_error_that_stays(name: str) -> None:
    for data in (BAD[name], frame(frames.Opcode.TEXT, b"good") + BAD[name]):
        found = reader(S)
        if data is not BAD[name]:
            # What came whole before the bytes turned bad is returned first.
            assert len(found.feed(data, at_us=0)) == 1
        with pytest.raises(WireError) as refused:
            found.feed(data, at_us=0)
        assert refused.value.status == 400
        with pytest.raises(WireError) as again:
            found.feed(b"", at_us=0)
        assert again.value is refused.value


def test_a_client_s_frames_must_be_masked() -> None:
    assert len(reader(Side.CLIENT).feed(frame(frames.Opcode.TEXT, b"a", mask=True), at_us=0)) == 1
    with pytest.raises(WireError):
        reader(Side.CLIENT).feed(frame(frames.Opcode.TEXT, b"a"), at_us=0)


def test_a_message_beyond_the_limit_is_refused_whole_in_fragments_and_deflated() -> None:
    parameters = DeflateParameters()
    cases = [
        (message(S, [bytes(101)]), None),
        (message(S, [bytes(60), bytes(41)]), None),
        (message(S, [bytes(101)], deflated=True), parameters),
        (message(S, [bytes(60), bytes(41)], deflated=True), parameters),
    ]
    for sent, deflate in cases:
        data = b"".join(FrameWriter(side=S, deflate=deflate).message(sent))
        assert reader(S, deflate, max_message_bytes=101).feed(data, at_us=5) == [sent]
        with pytest.raises(WireError) as refused:
            reader(S, deflate, max_message_bytes=100).feed(data, at_us=5)
        assert refused.value.status == 413


def test_the_length_of_a_huge_frame_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(WireError) as refused:
        reader(S, max_message_bytes=1_000).feed(b"\x82\x7f" + (2**40).to_bytes(8, "big"), at_us=0)
    assert refused.value.status == 413


@given(SIDES, st.binary(), st.none() | PARAMETERS)
def test_garbage_is_read_or_raises_exactly_wire_error(
    side: Side, data: bytes, deflate: DeflateParameters | None
) -> None:
    whole, slow = reader(side, deflate), reader(side, deflate)
    outcomes = []
    for found, reads in ((whole, [data]), (slow, [data[n : n + 1] for n in range(len(data))])):
        events: list[Event] = []
        try:
            for part in [*reads, b""]:
                events += found.feed(part, at_us=0)
        except WireError:
            events.append(Close(at_us=0, stream=1, side=side, code=None, reason=b"refused"))
        outcomes.append(events)
    assert outcomes[0] == outcomes[1]


MESSAGES = st.lists(st.tuples(PARTS, st.sampled_from(Opcode), st.booleans()), max_size=6)


@given(SIDES, st.none() | PARAMETERS, MESSAGES)
def test_what_is_rendered_reads_as_it_was(
    side: Side, deflate: DeflateParameters | None, messages: list[tuple[list[bytes], Opcode, bool]]
) -> None:
    writer, found = FrameWriter(side=side, deflate=deflate), reader(side, deflate)
    for parts, opcode, deflated in messages:
        sent = message(side, parts, opcode=opcode, deflated=deflated and deflate is not None)
        rendered = writer.message(sent)
        assert len(rendered) == len(parts)
        assert found.feed(b"".join(rendered), at_us=5) == [sent]


@given(SIDES, st.none() | PARAMETERS, MESSAGES)
def test_the_library_reads_what_is_rendered(
    side: Side, deflate: DeflateParameters | None, messages: list[tuple[list[bytes], Opcode, bool]]
) -> None:
    writer, peer = FrameWriter(side=side, deflate=deflate), endpoint(side.other, deflate)
    for parts, opcode, deflated in messages:
        peer.receive_data(b"".join(writer.message(message(side, parts, opcode=opcode, deflated=deflated))))
        received = peer.events_received()
        assert [bytes(item.data) for item in received if isinstance(item, frames.Frame)] == parts
        assert [item.fin for item in received if isinstance(item, frames.Frame)] == [False] * (len(parts) - 1) + [True]
    peer.receive_data(writer.ping(b"1") + writer.pong(b"2") + writer.close(4000, b"bye"))
    assert [bytes(item.data) for item in peer.events_received() if isinstance(item, frames.Frame)][:2] == [b"1", b"2"]
    assert peer.close_rcvd is not None
    assert (peer.close_rcvd.code, peer.close_rcvd.reason) == (4000, "bye")


@given(SIDES, st.none() | PARAMETERS, MESSAGES)
def test_what_the_library_sends_is_read(
    side: Side, deflate: DeflateParameters | None, messages: list[tuple[list[bytes], Opcode, bool]]
) -> None:
    peer, found = endpoint(side, deflate), reader(side, deflate)
    for parts, opcode, _ in messages:
        send = peer.send_text if opcode is Opcode.TEXT else peer.send_binary
        send(parts[0], fin=len(parts) == 1)
        for number, part in enumerate(parts[1:], start=2):
            peer.send_continuation(part, fin=number == len(parts))
        expected = message(side, parts, opcode=opcode, deflated=deflate is not None)
        assert found.feed(b"".join(peer.data_to_send()), at_us=5) == [expected]
    peer.send_close(4000, "bye")
    closed = Close(at_us=6, stream=1, side=side, code=4000, reason=b"bye")
    assert found.feed(b"".join(peer.data_to_send()), at_us=6) == [closed]


def test_context_takeover_makes_the_second_message_shorter_and_its_absence_does_not() -> None:
    text = message(S, [b"a long enough message to be worth a back reference"], deflated=True)
    kept, dropped = (
        FrameWriter(side=S, deflate=DeflateParameters()),
        FrameWriter(side=S, deflate=DeflateParameters(server_no_context_takeover=True)),
    )
    assert len(kept.message(text)[0]) > len(kept.message(text)[0])
    assert dropped.message(text) == dropped.message(text)


def test_a_long_close_reason_is_cut_between_characters() -> None:
    (event,) = reader(S).feed(FrameWriter(side=S).close(4000, "é".encode() * 100), at_us=0)
    assert isinstance(event, Close)
    assert event.reason == "é".encode() * 61
    (event,) = reader(S).feed(FrameWriter(side=S).close(None), at_us=0)
    assert event == Close(at_us=0, stream=1, side=S, code=None)


@pytest.mark.parametrize(
    ("values", "parameters"),
    [
        ([], None),
        ([b"permessage-deflate"], DeflateParameters()),
        (
            [b"permessage-deflate; server_no_context_takeover; client_max_window_bits=12"],
            DeflateParameters(server_no_context_takeover=True, client_max_window_bits=12),
        ),
        (
            [b"permessage-deflate; client_no_context_takeover; server_max_window_bits=9"],
            DeflateParameters(client_no_context_takeover=True, server_max_window_bits=9),
        ),
    ],
)
def test_a_negotiation_is_read_from_the_answer(values: list[bytes], parameters: DeflateParameters | None) -> None:
    assert negotiated_deflate(tuple((b"Sec-WebSocket-Extensions", value) for value in values)) == parameters


@pytest.mark.parametrize(
    "value",
    [b"x-other", b"permessage-deflate, permessage-deflate", b"permessage-deflate; server_max_window_bits=16",
     b"permessage-deflate; server_max_window_bits=7", b"permessage-deflate; client_max_window_bits=\xb2",
     b"permessage-deflate; more", b";", b"a b"],
)  # fmt: skip
def test_an_answer_that_makes_frames_unreadable_is_refused(value: bytes) -> None:
    with pytest.raises(WireError):
        negotiated_deflate(((b"sec-websocket-extensions", value),))


@pytest.mark.parametrize(
    ("offer", "kept"),
    [
        (b"permessage-deflate; client_max_window_bits", b"permessage-deflate; client_max_window_bits"),
        (b"x-webkit-deflate-frame, permessage-deflate", b"permessage-deflate"),
        (b"Permessage-Deflate;a,  permessage-deflate", b"Permessage-Deflate;a, permessage-deflate"),
        (b"x-other", b""),
        (b"", b""),
    ],
)
def test_only_deflate_is_offered_upstream(offer: bytes, kept: bytes) -> None:
    assert deflate_only(offer) == kept


@pytest.mark.parametrize(
    ("parameters", "offered", "answer"),
    [
        (DeflateParameters(), b"", None),
        (DeflateParameters(), b"x-other", None),
        (DeflateParameters(), b"permessage-deflate", b"permessage-deflate"),
        (DeflateParameters(client_max_window_bits=12), b"permessage-deflate", None),
        (
            DeflateParameters(client_max_window_bits=12),
            b"permessage-deflate, permessage-deflate; client_max_window_bits",
            b"permessage-deflate; client_max_window_bits=12",
        ),
        (
            DeflateParameters(client_no_context_takeover=True, server_max_window_bits=10),
            b"permessage-deflate; server_no_context_takeover",
            b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
        ),
        (
            DeflateParameters(server_max_window_bits=10),
            b'permessage-deflate; server_max_window_bits="12"',
            b"permessage-deflate; server_max_window_bits=10",
        ),
        (DeflateParameters(), b"permessage-deflate; server_max_window_bits=10", None),
        (DeflateParameters(), b"permessage-deflate; server_max_window_bits=many", None),
        (
            DeflateParameters(),
            b"permessage-deflate; server_max_window_bits=10, permessage-deflate",
            b"permessage-deflate",
        ),
        (DeflateParameters(client_max_window_bits=12), b"permessage-deflate; client_max_window_bits=10", None),
        (DeflateParameters(), b"permessage-deflate; client_max_window_bits=10", b"permessage-deflate"),
    ],
)
def test_an_offer_is_answered_with_what_was_recorded(
    parameters: DeflateParameters, offered: bytes, answer: bytes | None
) -> None:
    assert render_deflate(parameters, offered=offered) == answer
