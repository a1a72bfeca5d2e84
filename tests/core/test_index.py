import pytest
from hypothesis import given
from strategies import cassettes, headers

from gp_replay.core.index import Indexer, MemoryCassette
from gp_replay.core.model import (
    Close,
    End,
    Event,
    Gone,
    Header,
    How,
    Message,
    Opcode,
    Opened,
    Origin,
    Piece,
    Ping,
    Protocol,
    RequestHead,
    ResponseHead,
    Side,
)

C, S = Side.CLIENT, Side.SERVER
HEADER = Header(
    name="n", recorded_at="2026-11-25T10:00:00Z", tool="t", origin=Origin.LIVE, roles=(), salt=b"", redaction=()
)


def opened(stream: int, protocol: Protocol = Protocol.HTTP, at_us: int = 0) -> Event:
    return Opened(at_us=at_us, stream=stream, side=C, protocol=protocol, role="llm", owner="alice")


def asked(stream: int, body: bytes = b"", at_us: int = 1) -> list[Event]:
    head = RequestHead(
        at_us=at_us, stream=stream, side=C, method=b"POST", target=b"/x", version=b"HTTP/1.1", headers=()
    )
    return [head, Piece(at_us=at_us, stream=stream, side=C, data=body), End(at_us=at_us, stream=stream, side=C)]


def answered(stream: int, status: int, at_us: int = 9) -> Event:
    return ResponseHead(at_us=at_us, stream=stream, side=S, version=b"HTTP/1.1", status=status, reason=b"", headers=())


def index(*events: Event, **arguments: object) -> Indexer:
    indexer = Indexer(**arguments)  # type: ignore[arg-type]
    for number, event in enumerate(events):
        indexer.add(event, offset=100 + number)
    return indexer


def test_an_exchange_is_known_by_its_request_status_times_and_size() -> None:
    end = End(at_us=30, stream=7, side=S)
    piece = Piece(at_us=20, stream=7, side=S, data=b"12345")
    indexer = index(opened(7, at_us=3), *asked(7, b"abc"), answered(7, 103), answered(7, 200), piece, end)
    assert len(indexer) == 1
    (entry,) = indexer.footer().entries
    assert (entry.stream, entry.protocol, entry.role, entry.owner) == (7, Protocol.HTTP, "llm", "alice")
    assert (entry.method, entry.target, entry.status) == (b"POST", b"/x", 200)
    assert (entry.opened_us, entry.ended_us, entry.events, entry.body_bytes, entry.messages) == (3, 30, 8, 8, 0)
    assert entry.offsets == tuple(range(100, 108))
    assert entry.complete


SERVER_END = End(at_us=30, stream=1, side=S)
WS = Protocol.WEBSOCKET
CLOSE = Close(at_us=30, stream=1, side=S, code=1000)


@pytest.mark.parametrize(
    ("events", "complete"),
    [
        ([opened(1), *asked(1), answered(1, 200), SERVER_END], True),
        ([opened(1), *asked(1)[:-1], answered(1, 200), SERVER_END], False),
        ([opened(1), *asked(1), answered(1, 200)], False),
        ([opened(1), *asked(1), answered(1, 200), Gone(at_us=40, stream=1, side=S, how=How.RESET)], False),
        ([opened(1)], False),
        ([opened(1, WS), asked(1)[0], answered(1, 101), CLOSE], True),
        ([opened(1, WS), asked(1)[0], answered(1, 101), Ping(at_us=10, stream=1, side=S, data=b"")], False),
        ([opened(1, WS), asked(1)[0], answered(1, 401), SERVER_END], True),
    ],
)
def test_a_stream_is_complete_when_it_ended_as_its_protocol_wants(events: list[Event], complete: bool) -> None:
    assert index(*events).footer().entries[0].complete is complete


def test_messages_are_counted_with_their_sizes() -> None:
    message = Message(at_us=12, stream=1, side=S, opcode=Opcode.TEXT, data=b"four")
    (entry,) = index(opened(1, WS), asked(1)[0], answered(1, 101), message, message, CLOSE).footer().entries
    assert (entry.messages, entry.body_bytes, entry.status) == (2, 8, 101)


def test_an_interim_response_is_no_answer() -> None:
    assert index(opened(1), *asked(1), answered(1, 103)).footer().entries[0].status == 0


def test_entries_stand_by_number_whatever_the_order_of_events() -> None:
    footer = index(opened(3), opened(1), *asked(3), opened(2), *asked(1)).footer()
    assert [entry.stream for entry in footer.entries] == [1, 2, 3]


def test_models_are_named_once_in_order_of_appearance() -> None:
    body = b'{"model": "gpt-4o","x":{"model":"caf\xc3\xa9"},"model":5}'
    footer = index(
        opened(1), *asked(1, body), opened(2), *asked(2, b'{"model":"a"}'), opened(3), *asked(3, body)
    ).footer()
    assert footer.models == ("gpt-4o", "café", "a")


def test_the_number_of_models_is_bounded() -> None:
    body = b"".join(b'{"model":"m%d"}' % number for number in range(500))
    assert len(index(opened(1), *asked(1, body)).footer().models) == 100


def test_keys_are_computed_of_complete_requests_and_handshakes() -> None:
    seen: list[tuple[str, list[type[Event]]]] = []

    def key(role: str, request: tuple[Event, ...]) -> bytes:
        seen.append((role, [type(event) for event in request]))
        return b"key"

    events = [opened(1), *asked(1), answered(1, 200), opened(2, WS), asked(2)[0], opened(3), asked(3)[0]]
    footer = index(*events, key=key, fingerprint=b"f").footer()
    assert seen == [("llm", [RequestHead, Piece, End]), ("llm", [RequestHead])]
    assert [entry.key for entry in footer.entries] == [b"key", b"key", b""]
    assert footer.fingerprint == b"f"


def test_without_a_key_there_is_no_fingerprint() -> None:
    footer = index(opened(1), *asked(1), fingerprint=b"f").footer(exit_code=3, digest=b"d")
    assert (footer.fingerprint, footer.entries[0].key, footer.exit_code, footer.digest) == (b"", b"", 3, b"d")


def test_a_stream_is_opened_once_before_anything_else() -> None:
    with pytest.raises(ValueError, match="stream 1 is opened twice"):
        index(opened(1), opened(1))
    with pytest.raises(ValueError, match="stream 2 was never opened"):
        MemoryCassette(HEADER, [opened(1), *asked(2)])


@given(cassettes(), headers())
def test_a_cassette_in_memory_gives_its_events_by_stream_in_order(found: MemoryCassette, header: Header) -> None:
    for entry in found.footer.entries:
        events = found.events(entry.stream)
        assert len(events) == entry.events == len(entry.offsets)
        assert {event.stream for event in events} == {entry.stream}
        assert [event.at_us for event in events] == sorted(event.at_us for event in events)
        assert entry.opened_us == events[0].at_us
        assert entry.ended_us == events[-1].at_us
    with pytest.raises(KeyError):
        found.events(99)
    assert MemoryCassette(header, []).header == header
