"""Reads cassettes, lazily: header and index when opened, events when asked for."""

from __future__ import annotations

import gc
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gp_replay.core.codec import decode_event, decode_footer, decode_header
from gp_replay.core.model import Event, Footer, Header, Opened
from gp_replay.core.records import (
    MAGIC,
    PREAMBLE_BYTES,
    RECORD_HEAD_BYTES,
    TRAILER_BYTES,
    Limits,
    decode_preamble,
    decode_record,
    decode_record_head,
    decode_trailer,
)
from gp_replay.errors import CassetteCorrupt, CassetteUnfinished
from gp_replay.store.files import PART_SUFFIX, open_for_reading, read_at

__all__ = ["CassetteFile"]

_HASH_BYTES = 1024 * 1024
# Events of one stream usually stand close together: one read brings several. More is read only for a larger record.
_WINDOW_BYTES = (4 * 1024, 256 * 1024)


class CassetteFile:
    """A cassette on disk, open. A `gp_replay.core.model.Cassette`, and a context manager that closes it.

    Any number of threads may read at once; close it when none does. A file that changes while it is open is noticed
    when a record is read (its checksum), never before.

    Attributes:
        path: as it was given.
        size: in bytes.
    """

    def __init__(
        self, path: Path, file: io.FileIO, *, size: int, version: int, header: Header, footer: Footer, limits: Limits
    ) -> None:
        self.path = path
        self.size = size
        self._file = file
        self._version = version
        self._header = header
        self._footer = footer
        self._limits = limits
        self._entries = {entry.stream: entry for entry in footer.entries}

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, verify: bool = True, limits: Limits | None = None) -> CassetteFile:
        """Opens a cassette.

        Args:
            path: of the file.
            verify: compare the digest over all bytes; without it, only what is read is checked, when it is read.
            limits: of what it may make us do.

        Raises:
            CassetteMissing: there is no such file.
            CassetteTooNew: its format is newer than this program; nothing else of it was looked at.
            CassetteUnfinished: a ``.part``, or a file whose end is not there.
            CassetteCorrupt: it is no cassette, is damaged, breaks a limit, or may not be read.
        """
        path = Path(path)
        limits = limits or Limits()
        file = open_for_reading(path)
        try:
            size = os.fstat(file.fileno()).st_size
            version = _version(path, file)
            header_bytes = _record(path, file, PREAMBLE_BYTES, end=size, max_bytes=limits.max_record_bytes)
            trailer = read_at(file, TRAILER_BYTES, max(0, size - TRAILER_BYTES), path=str(path))
            offset = decode_trailer(trailer, path=str(path), size=size)
            if offset is None:
                raise CassetteUnfinished(str(path))
            end = size - TRAILER_BYTES
            footer_bytes = _record(path, file, offset, end=end, max_bytes=limits.max_footer_bytes, whole=True)
            where = {"path": str(path)}
            header = decode_header(header_bytes, offset=PREAMBLE_BYTES, version=version, limits=limits, **where)
            with _collector_paused():
                footer = decode_footer(footer_bytes, offset=offset, version=version, limits=limits, **where)
            if verify:
                _verify(path, file, footer.digest, end=offset)
            return cls(path, file, size=size, version=version, header=header, footer=footer, limits=limits)
        except BaseException:
            file.close()
            raise

    @property
    def header(self) -> Header:
        return self._header

    @property
    def footer(self) -> Footer:
        return self._footer

    @property
    def digest(self) -> str:
        """What the footer says of all bytes before it, in hexadecimal: the name of this revision."""
        return self._footer.digest.hex()

    def events(self, stream: int) -> tuple[Event, ...]:
        """All events of one stream in the order they happened, read anew each time.

        Raises:
            KeyError: there is no such stream.
            CassetteCorrupt: the bytes are not what the index promises.
            ValueError: the cassette is closed.
        """
        events: list[Event] = []
        for offset, event in self._at(self._entries[stream].offsets):
            if event.stream != stream or isinstance(event, Opened) is bool(events):
                raise CassetteCorrupt(
                    str(self.path), f"an event that is not the one stream {stream} has there", offset=offset
                )
            events.append(event)
        events.sort(key=lambda event: event.at_us)
        return tuple(events)

    def written(self) -> Iterator[Event]:
        """All events of all streams in the order they stand in the file, one at a time.

        Raises:
            CassetteCorrupt, ValueError: as for `events`.
        """
        offsets = sorted(offset for entry in self._entries.values() for offset in entry.offsets)
        for _, event in self._at(offsets):
            yield event

    def _at(self, offsets: Sequence[int]) -> Iterator[tuple[int, Event]]:
        if not offsets:
            return
        path = str(self.path)
        low, high = _WINDOW_BYTES
        ahead = min(max(offsets[-1] - offsets[0] + low, low), high)
        window, begin, end = b"", 0, 0
        for offset in offsets:
            if offset < end:  # records in records: a small file would become any amount of memory
                raise CassetteCorrupt(path, "an event inside another one", offset=offset)
            if not begin <= offset <= begin + len(window) - RECORD_HEAD_BYTES:
                window, begin = read_at(self._file, ahead, offset, path=path), offset
            head = window[offset - begin : offset - begin + RECORD_HEAD_BYTES]
            length = decode_record_head(head, path=path, offset=offset, max_bytes=self._limits.max_record_bytes)
            end = offset + RECORD_HEAD_BYTES + length
            if end > begin + len(window):
                window, begin = read_at(self._file, max(end - offset, ahead), offset, path=path), offset
            payload = decode_record(window[offset - begin : end - begin], path=path, offset=offset)
            yield offset, decode_event(payload, path=path, offset=offset, version=self._version, limits=self._limits)

    def close(self) -> None:
        """Closes the file. Closing again does nothing."""
        self._file.close()

    def __enter__(self) -> CassetteFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _version(path: Path, file: io.FileIO) -> int:
    preamble = read_at(file, PREAMBLE_BYTES, 0, path=str(path))
    part = path.name.endswith(PART_SUFFIX)
    if part and len(preamble) < PREAMBLE_BYTES and preamble[: len(MAGIC)] == MAGIC[: len(preamble)]:
        raise CassetteUnfinished(str(path))
    version = decode_preamble(preamble, path=str(path))
    if part:
        raise CassetteUnfinished(str(path))
    return version


def _record(path: Path, file: io.FileIO, offset: int, *, end: int, max_bytes: int, whole: bool = False) -> bytes:
    """The payload of the record at ``offset``, which ends at ``end`` or (not ``whole``) before."""
    head = read_at(file, RECORD_HEAD_BYTES, offset, path=str(path))
    length = decode_record_head(head, path=str(path), offset=offset, max_bytes=max_bytes)
    size = RECORD_HEAD_BYTES + length
    if offset + size > end or (whole and offset + size != end):
        raise CassetteCorrupt(str(path), "a record that does not end where it should", offset=offset)
    return decode_record(read_at(file, size, offset, path=str(path)), path=str(path), offset=offset)


def _verify(path: Path, file: io.FileIO, digest: bytes, *, end: int) -> None:
    found = hashlib.blake2b(digest_size=32)
    for offset in range(0, end, _HASH_BYTES):
        found.update(read_at(file, min(_HASH_BYTES, end - offset), offset, path=str(path)))
    if found.digest() != digest:
        raise CassetteCorrupt(str(path), "its digest is not that of its bytes")


@contextmanager
def _collector_paused() -> Iterator[None]:
    # Making many objects at once sets off the cyclic collector again and again, which then looks through all of them.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
