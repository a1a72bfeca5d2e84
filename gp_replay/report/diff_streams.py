"""What differs between two streams that stand for each other: heads, bodies, messages, how they ended."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl

from gp_replay.core.aligning import align
from gp_replay.core.canonical import message_form
from gp_replay.core.http1 import media_type
from gp_replay.core.model import (
    Close,
    End,
    Event,
    Gone,
    Headers,
    Message,
    Opaque,
    Opcode,
    Piece,
    Ping,
    Pong,
    RequestHead,
    ResponseHead,
    Side,
)
from gp_replay.core.rules import Rules
from gp_replay.report.diff_payloads import (
    MAX_SHOWN,
    Change,
    event_blocks,
    event_changes,
    payload_changes,
    purpose,
    text_change,
)
from gp_replay.report.plain_text import excerpt, printable

__all__ = ["Difference", "Kind", "stream_differences"]

# Made anew for every connection (RFC 6455 section 4.1), whatever they look like.
_NONCES = frozenset({"sec-websocket-key", "sec-websocket-accept"})


class Kind(Enum):
    """What differs. The value is what reports say."""

    CASSETTE = "cassette"
    """How the cassettes were recorded: redaction, the command's exit code."""
    STREAM = "stream"
    """A stream is in one cassette only."""
    REQUEST = "request"
    """The request line."""
    STATUS = "status"
    """The status line, of a final or an interim response."""
    HEADER = "header"
    """A field of a head or a trailer, or the order of fields."""
    SUBPROTOCOL = "subprotocol"
    BODY = "body"
    MESSAGE = "message"
    """A WebSocket message: its content, or that it is in one cassette only."""
    SPELLING = "spelling"
    """The same values, written differently: white space, order of members, escapes."""
    BOUNDARIES = "boundaries"
    """The same bytes, cut differently into chunks, reads or frames."""
    CODING = "coding"
    """The same bytes, compressed differently on the wire."""
    CONTROL = "control"
    """Pings and pongs."""
    CLOSE = "close"
    """Code and reason of a close frame."""
    ENDING = "ending"
    """How a side ended: complete, cut, aborted, or no longer understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between two streams.

    Attributes:
        kind: of what.
        place: which part, then where in it: ``response body.choices[0].text``, ``server message 4: message.type``.
            Numbers of messages and events count from 1, in the first stream where it has the item, and by side.
        a, b: both values, bounded and safe to print; None where there is none.
        volatile: ``id`` or ``time`` where both values have that shape; ``reads`` for cuts that only reading made;
            ``ambient`` for the number of pings; else "".
    """

    kind: Kind
    place: str
    a: str | None
    b: str | None
    volatile: str = ""


def stream_differences(a: Sequence[Event], b: Sequence[Event]) -> Iterator[Difference]:
    """What differs between two streams; nothing where only their times do.

    Args:
        a, b: all events of each, in the order they happened.
    """
    yield from _requests(a, b)
    yield from _bodies(a, b, Side.CLIENT)
    yield from _responses(a, b)
    yield from _bodies(a, b, Side.SERVER)
    for side in Side:
        yield from _messages(a, b, side)
        yield from _controls(a, b, side)
    for side in Side:
        yield from _closes(a, b, side)
        yield from _endings(a, b, side)


def _requests(a: Sequence[Event], b: Sequence[Event]) -> Iterator[Difference]:
    heads = [next((event for event in events if isinstance(event, RequestHead)), None) for events in (a, b)]
    one, other = heads
    if one is None or other is None:
        if one is not other:
            yield _plain(
                Kind.REQUEST,
                "request line",
                *(None if head is None else head.method + b" " + head.target for head in heads),
            )
        return
    yield from _if_different(Kind.REQUEST, "request method", one.method, other.method)
    path, other_path = (head.target.partition(b"?")[0] for head in (one, other))
    yield from _if_different(Kind.REQUEST, "request path", path, other_path)
    yield from _queries(one.target, other.target)
    yield from _if_different(Kind.REQUEST, "request version", one.version, other.version)
    yield from _if_different(Kind.CODING, "request coding", one.coding.encode(), other.coding.encode())
    yield from _fields("request", one.headers, other.headers)


def _queries(a: bytes, b: bytes) -> Iterator[Difference]:
    raw = [target.partition(b"?")[1:] for target in (a, b)]
    if raw[0] == raw[1]:
        return
    pairs = [tuple(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) for _, query in raw]
    found = list(_named("request query", pairs[0], pairs[1], Kind.REQUEST, fold=False))
    texts = [b"".join(parts).decode("latin-1") for parts in raw]
    yield from found or [_of(Kind.SPELLING, "request", text_change(*texts, place="query", spelling=True))]


def _responses(a: Sequence[Event], b: Sequence[Event]) -> Iterator[Difference]:
    heads = [[event for event in events if isinstance(event, ResponseHead)] for events in (a, b)]
    finals = [[head for head in found if head.status >= 200 or head.status == 101] for found in heads]
    interims = [[head for head in found if head not in final] for found, final in zip(heads, finals, strict=True)]
    for name, (ones, others) in (("interim response", interims), ("response", finals)):
        for number in range(max(len(ones), len(others))):
            one = ones[number] if number < len(ones) else None
            other = others[number] if number < len(others) else None
            yield from _heads(name if number == 0 else f"{name} {number + 1}", one, other)


def _heads(name: str, a: ResponseHead | None, b: ResponseHead | None) -> Iterator[Difference]:
    if a is None or b is None:
        yield _plain(Kind.STATUS, f"{name} status", *(None if head is None else str(head.status) for head in (a, b)))
        return
    yield from _if_different(Kind.STATUS, f"{name} status", str(a.status).encode(), str(b.status).encode())
    yield from _if_different(Kind.STATUS, f"{name} reason", a.reason, b.reason)
    yield from _if_different(Kind.STATUS, f"{name} version", a.version, b.version)
    yield from _if_different(Kind.CODING, f"{name} coding", a.coding.encode(), b.coding.encode())
    yield from _fields(name, a.headers, b.headers)


def _fields(part: str, a: Headers, b: Headers) -> Iterator[Difference]:
    """Fields by name and occurrence; then, if those agree, their order."""
    pairs = [tuple((name.decode("latin-1"), _decoded(value)) for name, value in fields) for fields in (a, b)]
    yield from _named(f"{part} header", pairs[0], pairs[1], Kind.HEADER, fold=True)
    order_a, order_b = ([name.lower() for name, _ in fields] for fields in pairs)
    if order_a != order_b and sorted(order_a) == sorted(order_b):
        yield _of(Kind.HEADER, f"{part} header", text_change(", ".join(order_a), ", ".join(order_b), place="order"))


def _named(
    part: str, a: tuple[tuple[str, str], ...], b: tuple[tuple[str, str], ...], kind: Kind, *, fold: bool
) -> Iterator[Difference]:
    """Pairs of name and value, matched by name (in any case with ``fold``) and occurrence."""
    found_a, found_b = (_by_occurrence(pairs, fold=fold) for pairs in (a, b))
    for key in {**found_a, **found_b}:
        one, other = found_a.get(key), found_b.get(key)
        name = (one or other or ("", ""))[0]
        lower = name.lower()
        kind_here = Kind.SUBPROTOCOL if fold and lower == "sec-websocket-protocol" else kind
        if one is None or other is None:
            yield _plain(
                kind_here, f"{part} {printable(name)}", *(None if pair is None else pair[1] for pair in (one, other))
            )
            continue
        if one[0] != other[0]:
            yield _plain(Kind.SPELLING, f"{part} {printable(name)}", one[0], other[0])
        if one[1] != other[1]:
            change = text_change(one[1], other[1], place=printable(name), name=name)
            volatile = "id" if fold and lower in _NONCES else change.volatile
            yield Difference(kind=kind_here, place=f"{part} {change.place}", a=change.a, b=change.b, volatile=volatile)


def _by_occurrence(pairs: tuple[tuple[str, str], ...], *, fold: bool) -> dict[tuple[str, int], tuple[str, str]]:
    seen: dict[str, int] = {}
    found: dict[tuple[str, int], tuple[str, str]] = {}
    for name, value in pairs:
        key = name.lower() if fold else name
        seen[key] = seen.get(key, 0) + 1
        found[key, seen[key]] = (name, value)
    return found


def _bodies(a: Sequence[Event], b: Sequence[Event], side: Side) -> Iterator[Difference]:
    part = "request" if side is Side.CLIENT else "response"
    pieces = [[event for event in events if isinstance(event, Piece) and event.side is side] for events in (a, b)]
    body_a, body_b = (b"".join(piece.data for piece in found) for found in pieces)
    if body_a == body_b:
        yield from _boundaries(part, pieces[0], pieces[1])
    elif _media(a, side) == _media(b, side) == b"text/event-stream":
        yield from _event_streams(part, event_blocks(body_a), event_blocks(body_b))
    else:
        yield from (_of(Kind.BODY, part, change) for change in payload_changes(body_a, body_b, part="body"))
    ends = [
        next((event for event in events if isinstance(event, End) and event.side is side), None) for events in (a, b)
    ]
    if ends[0] and ends[1]:
        yield from _fields(f"{part} trailer", ends[0].trailers, ends[1].trailers)


def _media(events: Sequence[Event], side: Side) -> bytes:
    wanted = RequestHead if side is Side.CLIENT else ResponseHead
    heads = [event for event in events if isinstance(event, wanted)]
    return media_type(heads[-1].headers) if heads else b""


def _boundaries(part: str, a: list[Piece], b: list[Piece]) -> Iterator[Difference]:
    chunks_a, chunks_b = _chunks(a), _chunks(b)
    if chunks_a != chunks_b:
        yield _plain(Kind.BOUNDARIES, f"{part} chunks", _sizes(chunks_a, "chunk"), _sizes(chunks_b, "chunk"))
        return
    reads_a, reads_b = ([len(piece.data) for piece in pieces] for pieces in (a, b))
    if reads_a != reads_b:
        shown = _sizes(reads_a, "piece"), _sizes(reads_b, "piece")
        yield _plain(Kind.BOUNDARIES, f"{part} pieces", *shown, volatile="reads")


def _chunks(pieces: list[Piece]) -> list[int]:
    """Sizes of the HTTP chunks; of a body without chunks, nothing."""
    sizes, size = [], 0
    for piece in pieces:
        size += len(piece.data)
        if piece.ends_chunk:
            sizes.append(size)
            size = 0
    return sizes


def _sizes(sizes: list[int], unit: str) -> str:
    counted = f"{len(sizes)} {unit}" + ("" if len(sizes) == 1 else "s")
    return excerpt(f"{counted}: {', '.join(map(str, sizes))}" if sizes else counted, max_characters=MAX_SHOWN)


def _event_streams(part: str, a: list[bytes], b: list[bytes]) -> Iterator[Difference]:
    for i, j in align(a, b, same=_form, like=_event_purpose):
        if i is None or j is None:
            place = f"{part} event {(i if i is not None else j or 0) + 1}"
            yield _plain(Kind.BODY, place, None if i is None else a[i], None if j is None else b[j])
        else:
            place = f"{part} event {i + 1}:"
            yield from (_of(Kind.BODY, place, change) for change in event_changes(a[i], b[j]))


def _event_purpose(block: bytes) -> Hashable:
    lines = block.splitlines()
    names = tuple(line for line in lines if line.startswith(b"event:"))
    data = b"".join(line[5:] for line in lines if line.startswith(b"data:"))
    return names, purpose(data.strip())


def _messages(a: Sequence[Event], b: Sequence[Event], side: Side) -> Iterator[Difference]:
    name = side.name.lower()
    ones, others = (
        [event for event in events if isinstance(event, Message) and event.side is side] for events in (a, b)
    )
    for i, j in align(ones, others, same=lambda item: _form(item.data), like=lambda item: purpose(item.data)):
        if i is None or j is None:
            place = f"{name} message {(i if i is not None else j or 0) + 1}"
            shown = None if i is None else ones[i].data, None if j is None else others[j].data
            yield _plain(Kind.MESSAGE, place, *shown)
        else:
            yield from _message(f"{name} message {i + 1}:", ones[i], others[j])


def _message(part: str, a: Message, b: Message) -> Iterator[Difference]:
    if a.opcode is not b.opcode:
        yield _plain(Kind.MESSAGE, f"{part} opcode", a.opcode.name.lower(), b.opcode.name.lower())
    changes = payload_changes(a.data, b.data, part="message")
    yield from (_of(Kind.MESSAGE, part, change) for change in changes)
    cuts_a, cuts_b = ([fragment.length for fragment in item.fragments] for item in (a, b))
    # Fragments of different content are cut differently for that reason alone.
    if cuts_a != cuts_b and (not changes or not cuts_a or not cuts_b):
        yield _plain(Kind.BOUNDARIES, f"{part} fragments", _sizes(cuts_a, "fragment"), _sizes(cuts_b, "fragment"))
    if a.deflated is not b.deflated:
        shown = ("compressed" if item.deflated else "not compressed" for item in (a, b))
        yield _plain(Kind.CODING, f"{part} compression", *shown)


def _form(payload: bytes) -> Hashable:
    """The canonical form: payloads that differ in ids and times only are anchors of the alignment."""
    message = Message(at_us=0, stream=1, side=Side.CLIENT, opcode=Opcode.TEXT, data=payload)
    return message_form(message, role="", path="", rules=Rules()).digest


def _controls(a: Sequence[Event], b: Sequence[Event], side: Side) -> Iterator[Difference]:
    for kind in (Ping, Pong):
        ones, others = (
            [event.data for event in events if isinstance(event, kind) and event.side is side] for events in (a, b)
        )
        name = f"{side.name.lower()} {kind.__name__.lower()}"
        if len(ones) != len(others):
            yield _plain(Kind.CONTROL, f"{name}s", str(len(ones)), str(len(others)), volatile="ambient")
            continue
        for number, (one, other) in enumerate(zip(ones, others, strict=True), start=1):
            yield from _if_different(Kind.CONTROL, f"{name} {number}", one, other)


def _closes(a: Sequence[Event], b: Sequence[Event], side: Side) -> Iterator[Difference]:
    one, other = (
        next((event for event in events if isinstance(event, Close) and event.side is side), None) for events in (a, b)
    )
    name = f"{side.name.lower()} close"
    code_a, code_b = (
        None if item is None else "without code" if item.code is None else str(item.code) for item in (one, other)
    )
    if code_a != code_b:
        yield _plain(Kind.CLOSE, f"{name} code", code_a, code_b)
    yield from _if_different(Kind.CLOSE, f"{name} reason", one.reason if one else b"", other.reason if other else b"")


def _endings(a: Sequence[Event], b: Sequence[Event], side: Side) -> Iterator[Difference]:
    ends = [sorted({_ending(event) for event in events if event.side is side} - {""}) for events in (a, b)]
    if ends[0] != ends[1]:
        shown = (", ".join(found) or "open" for found in ends)
        yield _plain(Kind.ENDING, f"{side.name.lower()} end", *shown)
    sizes = [
        sum(event.size for event in events if isinstance(event, Opaque) and event.side is side) for events in (a, b)
    ]
    if sizes[0] != sizes[1]:
        yield _plain(Kind.ENDING, f"{side.name.lower()} opaque bytes", *map(str, sizes))


def _ending(event: Event) -> str:
    match event:
        case End():
            return "complete"
        case Gone():
            return event.how.value
        case _:
            return ""


def _if_different(kind: Kind, place: str, a: bytes, b: bytes) -> Iterator[Difference]:
    if a != b:
        yield _of(kind, "", text_change(_decoded(a), _decoded(b), place=place))


def _of(kind: Kind, part: str, change: Change) -> Difference:
    return Difference(
        kind=Kind.SPELLING if change.spelling else kind,
        place=f"{part} {change.place}".strip(),
        a=change.a,
        b=change.b,
        volatile=change.volatile,
    )


def _plain(kind: Kind, place: str, a: str | bytes | None, b: str | bytes | None, *, volatile: str = "") -> Difference:
    shown = [None if value is None else excerpt(value, max_characters=MAX_SHOWN) for value in (a, b)]
    return Difference(kind=kind, place=place, a=shown[0], b=shown[1], volatile=volatile)


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
