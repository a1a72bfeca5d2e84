"""Writes cassettes: at once into memory, at most 50 ms later to the disk, and in place when all is done.

The rules::

    NAME.gpr.part     opened exclusively, written by a thread of the writer's own, one write for all that came in 50 ms
      close()         rest, footer, trailer, fsync, then the name NAME.gpr: by a link, so nothing is ever overwritten
      close()         after the disk refused: the .part stays, DiskFailure says so
      close()         with no stream in it: removed
      killed          the .part stays, whole but for the last 50 ms and perhaps one record: `repair`
    replace           the file replaced gets its second name in .revisions first, then one rename
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import threading
from pathlib import Path

from gp_replay.core.codec import encode_event, encode_footer, encode_header, encode_preamble
from gp_replay.core.index import Indexer, RequestKey
from gp_replay.core.model import Cassette, Epoch, Event, Header, Opened, RequestHead
from gp_replay.core.records import Limits
from gp_replay.errors import (
    CassetteCorrupt,
    CassetteError,
    CassetteExists,
    CassetteMissing,
    CassetteUnfinished,
    DiskFailure,
)
from gp_replay.store.files import PART_SUFFIX, SUFFIX, disk_failure, keep_beside, put_in_place, sync_folder, write_all
from gp_replay.store.reading import CassetteFile

__all__ = ["CassetteWriter", "next_epoch", "next_revision"]

_INTERVAL_S = 0.05
_MAX_PENDING_BYTES = 64 * 1024 * 1024
# How long close() waits for a disk that hangs (a network mount that went away) before it says so.
_PATIENCE_S = 30.0
# Most bytes of a footer without entries: a hundred models of 200 letters are most of it.
_FOOTER_BYTES = 128 * 1024


def next_revision(header: Header, old: Cassette) -> Header:
    """The header of a recording that will replace ``old``: its number, what it replaces, and the same salt.

    Call it before anything is redacted: pseudonyms depend on the salt.
    """
    return dataclasses.replace(
        header, revision=old.header.revision + 1, replaces=old.footer.digest, salt=old.header.salt
    )


def next_epoch(header: Header, old: Cassette) -> Header:
    """The header of a recording that will hold ``old`` and more: what it says, and a new epoch for what comes.

    Streams go on from the number the new epoch begins with. Of ``header`` it takes time, tool, commit, and the roles
    and rules ``old`` has not; the salt is the old one, as for `next_revision`.
    """
    known = {role.name for role in old.header.roles}
    used = [1, *(entry.stream for entry in old.footer.entries), *(epoch.first_stream for epoch in old.header.epochs)]
    return dataclasses.replace(
        old.header,
        tool=header.tool,
        commit=header.commit,
        roles=(*old.header.roles, *(role for role in header.roles if role.name not in known)),
        redaction=tuple(dict.fromkeys((*old.header.redaction, *header.redaction))),
        revision=old.header.revision + 1,
        replaces=old.footer.digest,
        epochs=(*old.header.epochs, Epoch(recorded_at=header.recorded_at, first_stream=max(used) + 1)),
    )


class CassetteWriter:
    """A cassette being recorded.

    Args:
        path: where it will stand when it is closed; folders are made. Meanwhile it is ``path`` with ``.part``.
        header: its header. To replace a cassette it must come from `next_revision` or `next_epoch` of that one.
        replace: a cassette at ``path`` is replaced when this one is closed, and kept in ``.revisions``.
        key, fingerprint: as for `Indexer`. A key that cannot be computed (any exception) is left empty.
        limits: what cannot be read again is not written.
        max_pending_bytes: of what the disk has not taken yet; more means that it hangs.

    Raises:
        CassetteExists: there is something at ``path``, and ``replace`` is false.
        CassetteUnfinished: there is a ``.part``: left over, or another recorder's.
        CassetteError: what is to be replaced cannot be read.
        DiskFailure: the file cannot be made.
        ValueError: the header holds what the format has no room for, or does not continue what it replaces.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: Header,
        *,
        replace: bool = False,
        key: RequestKey | None = None,
        fingerprint: bytes = b"",
        limits: Limits | None = None,
        max_pending_bytes: int = _MAX_PENDING_BYTES,
    ) -> None:
        given = Path(path)
        self.path = given.resolve() if replace and given.is_symlink() else given
        self.part = self.path.with_name(self.path.name + PART_SUFFIX)
        self._header = header
        self._replace = replace
        self._limits = limits or Limits()
        self._max_pending_bytes = max_pending_bytes
        self._indexer = Indexer(key=key and _forgiving(key), fingerprint=fingerprint)
        self._digest = hashlib.blake2b(digest_size=32)
        self._failure: DiskFailure | None = None
        self._closed = False
        self._refusal: DiskFailure | CassetteExists | None = None
        self._result: Path | None = None
        self._lock = threading.Lock()
        self._taken = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._records = 0
        self._inherited = 0
        self._footer_bytes = _FOOTER_BYTES
        self._hint = f"gp-replay repair {self.part}"
        beginning = encode_preamble() + encode_header(header, limits=self._limits)
        self._offset = len(beginning)
        self._descriptor = self._begin(beginning)
        self._thread = threading.Thread(target=self._run, name=f"write {self.part.name}", daemon=True)
        self._thread.start()

    @property
    def streams(self) -> int:
        """How many streams were recorded so far, inherited ones not counted."""
        return len(self._indexer) - self._inherited

    @property
    def failure(self) -> DiskFailure | None:
        """Why the disk took no more, or None while it does. From then on nothing is recorded."""
        return self._failure

    def write(self, event: Event) -> None:
        """Records an event. Cheap, never waits for the disk, and does nothing once it has failed.

        Raises:
            ValueError: the format has no room for the event, its stream was never opened or is opened twice, or the
                writer is closed. The event is not recorded; others still can be.
        """
        if self._failure is not None:
            return
        record = encode_event(event, limits=self._limits)
        with self._lock:
            if self._closed:
                raise ValueError("the cassette is closed")
            if self._no_room_for(event):
                self._fail("the cassette is full")
                return
            if self._pending_bytes > self._max_pending_bytes:
                self._fail(f"the disk does not keep up, {self._pending_bytes} bytes are waiting")
                return
            self._indexer.add(event, offset=self._offset)
            self._records += 1
            self._offset += len(record)
            self._pending.append(record)
            self._pending_bytes += len(record)
        self._wake.set()

    def inherit(self, old: CassetteFile) -> None:
        """Copies all events of the cassette that this one continues. Call it before anything else is written.

        Where nothing is recorded after it, `close` leaves the old cassette as it is.

        Raises:
            CassetteCorrupt: it cannot be read to its end.
            DiskFailure: it cannot be written again.
        """
        try:
            for event in old.written():
                self.write(event)
                self.drain()
        except ValueError as error:
            raise CassetteCorrupt(str(old.path), str(error)) from error
        finally:
            self._inherited = len(self._indexer)
        if self._failure is not None:
            raise self._failure

    def drain(self) -> None:
        """Waits until the disk has taken most of what was written: for callers that copy faster than anybody talks.

        A recorder never calls it.
        """
        with self._taken:
            while self._failure is None and self._pending_bytes > self._max_pending_bytes // 4:
                self._taken.wait(_INTERVAL_S)

    def close(self, exit_code: int | None = None) -> Path | None:
        """Completes the cassette and puts it in place. Closing again gives the same result.

        Args:
            exit_code: of the recorded command.

        Returns:
            Its path, or None where nothing was recorded and so nothing is left.

        Raises:
            DiskFailure: the disk refused, now or before, or the file to replace is not the one it was. What was
                recorded is in the ``.part``, where `gp_replay.store.repair` finds it.
            CassetteExists: something was put at ``path`` meanwhile. The ``.part`` stays.
        """
        if self._closed:
            if self._refusal is not None:
                raise self._refusal
            return self._result
        # What a second close() says if this one does not come to its end (Ctrl-C while the disk is slow).
        self._refusal = disk_failure(self.part, "closing it was interrupted", hint=self._hint)
        self._stop()
        if self._failure is None and not self.streams:
            self._release()
            self.part.unlink(missing_ok=True)
            self._refusal = None
            return None
        try:
            if self._failure is None:
                self._finish(exit_code)
        except (OSError, ValueError) as error:
            self._fail(error)
        finally:
            self._release()
        self._refusal = self._failure or self._place()
        if self._refusal is not None:
            raise self._refusal
        self._result = self.path
        return self.path

    def abandon(self) -> None:
        """Ends without completing: the ``.part`` goes if nothing was recorded, else it stays to be repaired."""
        if self._closed:
            return
        self._stop()
        self._release()
        if not self.streams:
            self.part.unlink(missing_ok=True)

    def _no_room_for(self, event: Event) -> bool:
        # The footer grows with the recording: one that becomes too large to be read would lose everything.
        self._footer_bytes += _most_index_bytes(event)
        return (
            self._records >= self._limits.max_records
            or self._footer_bytes > self._limits.max_footer_bytes
            or (isinstance(event, Opened) and len(self._indexer) >= self._limits.max_streams)
        )

    def _begin(self, beginning: bytes) -> int:
        """The descriptor of the new ``.part``, with ``beginning`` in it."""
        if os.path.lexists(self.path):
            if not self._replace:
                raise CassetteExists(str(self.path))
            with CassetteFile.open(self.path, verify=False) as old:
                if self._header.replaces != old.footer.digest:
                    raise ValueError(f"the header does not continue {self.path}: see next_revision")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            if not os.path.lexists(self.part):  # the folder is a file
                raise disk_failure(self.part, "its folder is no folder") from None
            raise CassetteUnfinished(str(self.part)) from None
        except (OSError, ValueError) as error:
            raise disk_failure(self.part, error) from error
        try:
            self._put(descriptor, beginning)
        except OSError as error:
            os.close(descriptor)
            self.part.unlink(missing_ok=True)
            raise disk_failure(self.part, error) from error
        return descriptor

    def _put(self, descriptor: int, data: bytes) -> None:
        write_all(descriptor, data)
        self._digest.update(data)

    def _run(self) -> None:
        closing = False
        while not closing:  # after a failure too: what was taken before a cassette was full still goes to the disk
            self._wake.wait()
            closing = self._closing.wait(_INTERVAL_S)
            with self._lock:
                batch, self._pending = self._pending, []
                if not self._closing.is_set():
                    self._wake.clear()
            try:
                data = b"".join(batch)
                self._put(self._descriptor, data)
                if not os.fstat(self._descriptor).st_nlink:
                    raise FileNotFoundError(errno.ENOENT, "it was deleted while it was recorded")
            except (OSError, MemoryError) as error:
                self._fail(error)
                with self._lock:
                    self._pending = []
                return
            with self._taken:
                self._pending_bytes -= len(data)
                self._taken.notify_all()

    def _fail(self, error: BaseException | str) -> None:
        if self._failure is None:
            self._failure = disk_failure(self.part, error, hint=self._hint)

    def _stop(self) -> None:
        with self._lock:
            self._closed = True
        self._closing.set()
        self._wake.set()
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            self._fail("the disk does not answer")

    def _release(self) -> None:
        if not self._thread.is_alive():  # else the thread may still be in a write: the descriptor is left to it
            os.close(self._descriptor)

    def _finish(self, exit_code: int | None) -> None:
        footer = self._indexer.footer(exit_code=exit_code, digest=self._digest.digest())
        write_all(self._descriptor, encode_footer(footer, offset=self._offset, limits=self._limits))
        os.fsync(self._descriptor)

    def _place(self) -> DiskFailure | CassetteExists | None:
        """Gives the finished file its name; what stood in the way, or None."""
        try:
            if self._replace and self._keep_old():
                os.replace(self.part, self.path)
                sync_folder(self.path.parent)
            else:
                put_in_place(self.part, self.path)
        except CassetteExists as error:
            error.hint = f"the recording is in {self.part}; move {self.path} away, then: gp-replay repair {self.part}"
            return error
        except (OSError, CassetteError) as error:
            self._fail(error)
        return self._failure

    def _keep_old(self) -> bool:
        """Whether there is a cassette to replace; it has its place in ``.revisions`` then."""
        try:
            with CassetteFile.open(self.path, verify=False) as old:
                digest, revision = old.digest, old.header.revision
        except CassetteMissing:
            return False
        if digest != self._header.replaces.hex():
            raise OSError(f"{self.path} was changed by another program meanwhile")
        name = self.path.name.removesuffix(SUFFIX)
        keep_beside(self.path, self.path.parent / ".revisions" / name / f"{revision}-{digest[:8]}{SUFFIX}")
        return True


def _most_index_bytes(event: Event) -> int:
    """How many bytes an event can add to the footer, the end that `repair` may give its stream included."""
    match event:
        case Opened():
            return 256 + 4 * (len(event.role) + len(event.owner or ""))
        case RequestHead():
            return 16 + len(event.method) + len(event.target)
        case _:
            return 9


def _forgiving(key: RequestKey) -> RequestKey:
    # A recording must not fail over a request whose form cannot be computed; readers compute missing keys anew.
    def compute(role: str, request: tuple[Event, ...]) -> bytes:
        try:
            return key(role, request)
        except Exception:
            return b""

    return compute
