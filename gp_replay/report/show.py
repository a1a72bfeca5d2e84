"""`show`: a cassette as lines of text, the same cassette always the same lines, so that ``git diff`` can compare them.

::

    cassette     golden-path
    …
    stream 1  http  llm  owner alice  POST /v1/chat/completions  200  opened 0.000 ms  ended 812.345 ms  complete
           0.100 > POST /v1/chat/completions HTTP/1.1
                   Host: llm
           0.200 > piece 14 bytes
                   | {"model":"m"}
         120.000 < piece 13 bytes, ends chunk
                   | data: {}
                   |
                   |

Offsets are milliseconds since the start of the stream's epoch; ``>`` was sent by the client, ``<`` by the server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import assert_never

from gp_replay.core.document import Document, to_document
from gp_replay.core.model import (
    Cassette,
    Close,
    End,
    Event,
    Footer,
    Gone,
    Header,
    Headers,
    How,
    Message,
    Opaque,
    Opened,
    Piece,
    Ping,
    Pong,
    RequestHead,
    ResponseHead,
    Side,
    StreamEntry,
)
from gp_replay.errors import UsageError
from gp_replay.report.plain_text import content_lines, milliseconds, printable, quoted

__all__ = ["show_json", "show_lines"]

_GONE = {
    How.EOF: "gone: closed the transport",
    How.RESET: "aborted: the transport broke",
    How.CUT: "cut: the recording stopped here",
    How.UNREACHABLE: "unreachable: the upstream could not be reached",
}
_INDENT = " " * 15


def show_lines(
    cassette: Cassette, *, streams: Collection[int] | None = None, max_bytes: int | None = None
) -> Iterator[str]:
    """The cassette as lines without line ends, safe to print.

    Args:
        cassette: read stream by stream, as the lines are taken.
        streams: numbers of the streams to show, or None for all.
        max_bytes: how much of each piece, message and payload to show, or None for everything. What is left out is
            counted.

    Raises:
        UsageError: a number in ``streams`` is not one of the cassette's; raised at once.
        CassetteCorrupt: the cassette's bytes are not what its index promises; raised while lines are taken.
    """
    entries = cassette.footer.entries
    unknown = sorted(set(streams or ()) - {entry.stream for entry in entries})
    if unknown:
        raise UsageError(
            f"stream {unknown[0]} is not in the cassette",
            hint="gp-replay show without --stream shows all streams and their numbers",
        )
    chosen = [entry for entry in entries if streams is None or entry.stream in streams]
    return _lines(cassette, chosen, max_bytes)


def show_json(cassette: Cassette) -> Document:
    """The cassette as a document: the same as ``convert`` writes. See `gp_replay.core.document.to_document`."""
    return to_document(cassette)


def _lines(cassette: Cassette, entries: list[StreamEntry], max_bytes: int | None) -> Iterator[str]:
    yield from _header_lines(cassette.header, cassette.footer)
    for entry in entries:
        yield ""
        yield _title(entry, cassette.header)
        for event in cassette.events(entry.stream):
            yield from _event_lines(event, max_bytes)


def _header_lines(header: Header, footer: Footer) -> Iterator[str]:
    facts = [
        ("cassette", header.name),
        ("revision", str(header.revision)),
        ("replaces", header.replaces.hex()),
        ("recorded", header.recorded_at),
        ("tool", header.tool),
        ("origin", header.origin.value),
        ("environment", header.environment),
        ("commit", header.commit),
        *(("role", f"{role.name}  {role.url}") for role in header.roles),
        ("redaction", ", ".join(header.redaction) or "none"),
        ("salt", header.salt.hex()),
        *(("label", f"{name} = {text}") for name, text in header.labels),
        *(
            ("epoch", f"{number} from stream {epoch.first_stream}, recorded {epoch.recorded_at}")
            for number, epoch in enumerate(header.epochs, start=2)
        ),
        ("models", ", ".join(footer.models)),
        ("exit code", "" if footer.exit_code is None else str(footer.exit_code)),
        ("streams", str(len(footer.entries))),
    ]
    for name, value in facts:
        if value:
            yield f"{name:<12} {printable(value)}"


def _title(entry: StreamEntry, header: Header) -> str:
    parts = [
        f"stream {entry.stream}",
        entry.protocol.name.lower(),
        entry.role,
        "no owner" if entry.owner is None else f"owner {entry.owner}",
        f"{printable(entry.method)} {printable(entry.target)}" if entry.method or entry.target else "no request",
        str(entry.status) if entry.status else "no response",
        f"opened {milliseconds(entry.opened_us)} ms",
        f"ended {milliseconds(entry.ended_us)} ms",
        "complete" if entry.complete else "incomplete",
    ]
    if header.epochs:
        parts.insert(1, f"epoch {1 + sum(epoch.first_stream <= entry.stream for epoch in header.epochs)}")
    return "  ".join(printable(part) for part in parts)


def _event_lines(event: Event, max_bytes: int | None) -> Iterator[str]:
    if isinstance(event, Opened):
        return  # all it says is in the title
    arrow = ">" if event.side is Side.CLIENT else "<"
    yield f"{milliseconds(event.at_us):>12} {arrow} {_summary(event)}"
    match event:
        case RequestHead() | ResponseHead():
            yield from _header_field_lines(event.headers)
        case End():
            yield from _header_field_lines(event.trailers)
        case Piece() | Message() | Ping() | Pong():
            for line in content_lines(event.data, max_bytes=max_bytes):
                yield _INDENT + line
        case _:
            pass


def _summary(event: Event) -> str:
    match event:
        case RequestHead():
            line = f"{printable(event.method)} {printable(event.target)} {printable(event.version)}"
            return line + _coding(event.coding)
        case ResponseHead():
            line = f"{printable(event.version)} {event.status} {printable(event.reason)}"
            return line.rstrip(" ") + _coding(event.coding)
        case Piece():
            return f"piece {len(event.data)} bytes" + (", ends chunk" if event.ends_chunk else "")
        case End():
            return "end" + (f", {len(event.trailers)} trailers" if event.trailers else "")
        case Message():
            return _message_summary(event)
        case Ping():
            return f"ping {len(event.data)} bytes"
        case Pong():
            return f"pong {len(event.data)} bytes"
        case Close():
            code = "without code" if event.code is None else str(event.code)
            return f"close {code}" + (f" {quoted(event.reason)}" if event.reason else "")
        case Gone():
            return _GONE[event.how]
        case Opaque():
            return f"opaque {event.size} bytes, not recorded"
        case Opened():
            return "opened"
        case _:
            assert_never(event)


def _message_summary(event: Message) -> str:
    parts = [f"{event.opcode.name.lower()} message {len(event.data)} bytes"]
    if event.deflated:
        parts.append("deflated")
    if event.fragments:
        parts.append(f"{len(event.fragments)} fragments:")
        parts.extend(f"{fragment.length} at {milliseconds(fragment.at_us)}" for fragment in event.fragments)
    return ", ".join(parts).replace(":, ", ": ")


def _coding(coding: str) -> str:
    return f"  (body was {printable(coding)}, kept decoded)" if coding else ""


def _header_field_lines(headers: Headers) -> Iterator[str]:
    for name, value in headers:
        yield f"{_INDENT}{printable(name)}: {printable(value)}"
