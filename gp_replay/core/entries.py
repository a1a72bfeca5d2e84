"""The entries of a cassette's index as they stand in its footer; `codec` specifies them."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import cast

from gp_replay.core.model import Protocol, StreamEntry
from gp_replay.core.records import MAX_INT, Limits, Plain, shown

__all__ = ["ENTRY_FIELDS", "KEY_BYTES", "checked_entries", "read_entry", "write_entry"]

ENTRY_FIELDS = 14
KEY_BYTES = 64
"""Most bytes of a match key, and of the fingerprint of what computed it."""

_ONLY_INT = {int}
_PROTOCOLS = (Protocol.HTTP, Protocol.WEBSOCKET)


def checked_entries(entries: tuple[StreamEntry, ...], *, footer_offset: int, limits: Limits) -> tuple[StreamEntry, ...]:
    """The entries, if they make an index.

    Raises:
        ValueError: streams out of order, events at or after ``footer_offset``, or more than the limits allow.
    """
    if len(entries) > limits.max_streams:
        raise ValueError(f"{len(entries)} streams, the limit is {limits.max_streams}")
    last = events = 0
    for entry in entries:
        if entry.stream <= last:
            raise ValueError(f"stream {entry.stream} after {last}")
        if entry.offsets[-1] >= footer_offset:
            raise ValueError(f"stream {entry.stream} has an event after the footer")
        last = entry.stream
        events += entry.events
    if events > limits.max_records:
        raise ValueError(f"{events} events, the limit is {limits.max_records}")
    return entries


def write_entry(entry: StreamEntry) -> Plain:
    """The array that stands for an entry.

    Raises:
        ValueError: it has no events, offsets that do not rise, or a value the format has no room for.
    """
    offsets = entry.offsets
    values: list[Plain] = [
        entry.stream,
        entry.protocol.value,
        entry.role,
        entry.owner,
        entry.method,
        entry.target,
        entry.status,
        entry.opened_us,
        entry.ended_us,
        entry.complete,
        entry.messages,
        entry.body_bytes,
        entry.key,
        [*offsets[:1], *(later - earlier for earlier, later in pairwise(offsets))],
    ]
    if read_entry(values) != entry:
        raise ValueError(f"stream {entry.stream} cannot be written as it is")
    return values


def read_entry(values: Plain) -> StreamEntry:
    """The entry that an array stands for. Items beyond the known fields are ignored.

    Raises:
        ValueError: it stands for none.
    """
    # Read ten thousand times when a cassette is opened, so by hand and not by a layout.
    if type(values) is not list or len(values) < ENTRY_FIELDS:
        raise ValueError("an entry that is too short")
    (
        stream,
        protocol,
        role,
        owner,
        method,
        target,
        status,
        opened_us,
        ended_us,
        complete,
        messages,
        body_bytes,
        key,
    ) = values[: ENTRY_FIELDS - 1]
    deltas = values[ENTRY_FIELDS - 1]
    if not (
        type(stream) is int
        and 1 <= stream <= MAX_INT
        and type(protocol) is int
        and 0 <= protocol <= 1
        and type(role) is str
        and (owner is None or type(owner) is str)
        and type(method) is bytes
        and type(target) is bytes
        and type(status) is int
        and 0 <= status <= 999
        and type(opened_us) is int
        and type(ended_us) is int
        and 0 <= opened_us <= ended_us <= MAX_INT
        and type(complete) is bool
        and type(messages) is int
        and 0 <= messages <= MAX_INT
        and type(body_bytes) is int
        and 0 <= body_bytes <= MAX_INT
        and type(key) is bytes
        and len(key) <= KEY_BYTES
        and type(deltas) is list
        and deltas
        and set(map(type, deltas)) == _ONLY_INT
    ):
        raise ValueError(f"stream {shown(stream)}: an entry with a wrong value")
    numbers = cast(list[int], deltas)
    if min(numbers) < 1:
        raise ValueError(f"stream {stream}: offsets that do not rise")
    return StreamEntry(
        stream=stream,
        protocol=_PROTOCOLS[protocol],
        role=role,
        owner=owner,
        method=method,
        target=target,
        status=status,
        opened_us=opened_us,
        ended_us=ended_us,
        complete=complete,
        events=len(numbers),
        messages=messages,
        body_bytes=body_bytes,
        key=key,
        offsets=tuple(accumulate(numbers)),
    )
