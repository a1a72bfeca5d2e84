"""Makes a cassette of a recording that was cut off."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gp_replay.core.codec import (
    decode_event,
    decode_footer,
    decode_header,
    encode_event,
    encode_footer,
    encode_header,
    encode_preamble,
    is_footer,
)
from gp_replay.core.index import Indexer
from gp_replay.core.model import Event, Gone, Header, How, Opened, Side
from gp_replay.core.records import (
    FORMAT_VERSION,
    PREAMBLE_BYTES,
    Limits,
    Record,
    RecordScanner,
    decode_preamble,
    encode_record,
)
from gp_replay.errors import CassetteCorrupt, CassetteExists
from gp_replay.store.files import PART_SUFFIX, SUFFIX, disk_failure, open_for_reading, put_in_place, read_at, write_all

__all__ = ["RepairResult", "repair"]

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairResult:
    """What `repair` made.

    Attributes:
        path: the new cassette.
        part: what it was made of; still there.
        events: how many were read; the ends that were added are not counted.
        streams: how many there are.
        cut: how many of them had not ended, and end with `Gone` (`How.CUT`) now.
        lost_bytes: at the end of ``part``, that are no whole record.
        problem: what was wrong with them, or "" where the file just ended.
    """

    path: Path
    part: Path
    events: int
    streams: int
    cut: int
    lost_bytes: int
    problem: str


def repair(part: str | os.PathLike[str], *, limits: Limits | None = None) -> RepairResult:
    """Reads all whole records of a cut-off recording and writes them as a cassette beside it.

    A stream had ended if its index entry is complete (both `End`, or a `Close` frame), its server is `Gone`, or its
    client is `Gone` otherwise than by EOF (after EOF the server may still answer). Every other one ends with
    ``Gone(how=How.CUT, side=Side.SERVER)``, at the last time known of its epoch.

    Args:
        part: ``NAME.gpr.part``; becomes ``NAME.gpr``. Any other name becomes ``NAME.repaired.gpr``.
        limits: of what it may make us do.

    Returns:
        What was made. ``part`` is left as it is.

    Raises:
        CassetteExists: there is something at that path already.
        CassetteMissing, CassetteTooNew: as for `gp_replay.store.CassetteFile.open`.
        CassetteCorrupt: it is no cassette, or was cut off before its header was whole: there is nothing to repair; or
            its index would break a limit.
        DiskFailure: the cassette cannot be written.
    """
    part = Path(part)
    target = _target(part)
    with open_for_reading(part) as file:
        if os.path.lexists(target):
            error = CassetteExists(str(target))
            error.hint = f"move it away; {part} is still there"
            raise error
        salvage = _Salvage(part, file, limits or Limits())
        try:
            _write_beside(salvage, target)
        except OSError as error:
            raise disk_failure(target, error) from error
        except ValueError as error:
            raise CassetteCorrupt(str(part), str(error)) from error
    return RepairResult(
        path=target,
        part=part,
        events=salvage.events,
        streams=len(salvage.indexer),
        cut=salvage.cut,
        lost_bytes=salvage.size - salvage.good,
        problem=salvage.problem,
    )


def _target(part: Path) -> Path:
    name = part.name.removesuffix(PART_SUFFIX)
    if name != part.name and name.endswith(SUFFIX):
        return part.with_name(name)
    return part.with_name(f"{name.removesuffix(SUFFIX)}.repaired{SUFFIX}")


def _write_beside(salvage: _Salvage, target: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".repair")
    temporary = Path(name)
    try:
        try:
            os.fchmod(descriptor, salvage.mode)
            digest = hashlib.blake2b(digest_size=32)
            for data in salvage.copied():
                digest.update(data)
                write_all(descriptor, data)
            footer = salvage.indexer.footer(exit_code=salvage.exit_code, digest=digest.digest())
            write_all(descriptor, encode_footer(footer, offset=salvage.offset, limits=salvage.limits))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        put_in_place(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(slots=True)
class _Clock:
    """The last time known of each epoch, and which streams have not ended."""

    firsts: list[int]
    last_us: dict[int, int] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)

    def note(self, event: Event) -> None:
        epoch = bisect_right(self.firsts, event.stream)
        self.last_us[epoch] = max(event.at_us, self.last_us.get(epoch, 0))
        if isinstance(event, Gone) and (event.side is Side.SERVER or event.how is not How.EOF):
            self.gone.add(event.stream)

    def cut(self, stream: int) -> Gone:
        at_us = self.last_us[bisect_right(self.firsts, stream)]
        return Gone(at_us=at_us, stream=stream, side=Side.SERVER, how=How.CUT)


class _Salvage:
    """One pass over a cut-off recording: the bytes of the new cassette before its footer, and what was found."""

    def __init__(self, part: Path, file: io.FileIO, limits: Limits) -> None:
        self._path = str(part)
        self._file = file
        self.limits = limits
        status = os.fstat(file.fileno())
        self.size, self.mode = status.st_size, status.st_mode & 0o777
        self._version = decode_preamble(read_at(file, PREAMBLE_BYTES, 0, path=self._path), path=self._path)
        self.indexer = Indexer()
        self.exit_code: int | None = None
        self.events = self.cut = self.offset = 0
        self.good = PREAMBLE_BYTES
        self.problem = ""

    def copied(self) -> Iterator[bytes]:
        """The new cassette up to its footer, in portions. Attributes are right when it has ended."""
        records = self._records()
        first = next(records, None)
        if first is None:
            raise CassetteCorrupt(self._path, "it was cut off before its header was whole", offset=PREAMBLE_BYTES)
        header = decode_header(
            first.payload, path=self._path, offset=first.offset, version=self._version, limits=self.limits
        )
        yield self._out(encode_preamble() + self._copy(first, header))
        clock = _Clock(firsts=[epoch.first_stream for epoch in header.epochs])
        for record in records:
            event = self._event(record)
            if event is None:
                break
            clock.note(event)
            yield self._out(self._copy(record, event))
        for entry in self.indexer.footer().entries:
            room = self.events + self.cut < self.limits.max_records
            if room and not entry.complete and entry.stream not in clock.gone:
                gone = clock.cut(entry.stream)
                self.indexer.add(gone, offset=self.offset)
                self.cut += 1
                yield self._out(encode_event(gone))

    def _records(self) -> Iterator[Record]:
        scanner = RecordScanner(limits=self.limits)
        for offset in range(PREAMBLE_BYTES, self.size, _READ_BYTES):
            for record in scanner.feed(read_at(self._file, _READ_BYTES, offset, path=self._path)):
                self.good = record.offset
                yield record
                self.good = record.end
        self.problem = self.problem or scanner.problem

    def _event(self, record: Record) -> Event | None:
        """The event of a record, or None where the events end: at the footer, or at a record that makes no sense."""
        where = {"path": self._path}
        try:
            if is_footer(record.payload):
                self.good = self.size
                footer = decode_footer(
                    record.payload, offset=record.offset, version=self._version, limits=self.limits, **where
                )
                self.exit_code = footer.exit_code
                return None
            event = decode_event(
                record.payload, offset=record.offset, version=self._version, limits=self.limits, **where
            )
            if self.events >= self.limits.max_records or self._no_room_for(event):
                raise ValueError("the cassette is full")
            self.indexer.add(event, offset=self.offset)
        except CassetteCorrupt as error:
            self.problem = error.problem
            return None
        except ValueError as error:
            self.problem = str(error)
            return None
        self.events += 1
        return event

    def _no_room_for(self, event: Event) -> bool:
        return isinstance(event, Opened) and len(self.indexer) >= self.limits.max_streams

    def _copy(self, record: Record, value: Header | Event) -> bytes:
        # As it stands, with fields this version may not know; another version's records are written as today's.
        if self._version == FORMAT_VERSION:
            return encode_record(record.payload)
        return encode_header(value) if isinstance(value, Header) else encode_event(value)

    def _out(self, data: bytes) -> bytes:
        self.offset += len(data)
        return data
