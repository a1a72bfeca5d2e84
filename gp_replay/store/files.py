"""What the store asks of the file system, with its refusals translated."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from pathlib import Path

from gp_replay.errors import CassetteCorrupt, CassetteError, CassetteExists, CassetteMissing, DiskFailure

__all__ = [
    "PART_SUFFIX",
    "SUFFIX",
    "disk_failure",
    "keep_beside",
    "open_for_reading",
    "put_in_place",
    "read_at",
    "sync_folder",
    "unreadable",
    "write_all",
]

SUFFIX = ".gpr"
PART_SUFFIX = ".part"

# File systems without hard links (FAT, some network and container mounts) say one of these.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def unreadable(path: str, reason: str) -> CassetteError:
    """The error for a file that is there and cannot be read."""
    error = CassetteCorrupt(path, reason)
    error.hint = "check the path and its permissions"
    return error


def open_for_reading(path: Path) -> io.FileIO:
    """A regular file, opened. Never waits: a FIFO or a device is refused, not opened for good.

    Raises:
        CassetteMissing: there is nothing.
        CassetteCorrupt: a folder or another thing that is no file, or it may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise CassetteMissing(str(path)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise unreadable(str(path), f"it cannot be opened ({_reason(error)})") from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return io.FileIO(descriptor, "rb")
    os.close(descriptor)
    raise unreadable(str(path), "a folder, not a file" if stat.S_ISDIR(mode) else "not a regular file")


def read_at(file: io.FileIO, size: int, offset: int, *, path: str) -> bytes:
    """``size`` bytes from ``offset``, fewer only at the end of the file. Does not move the file's position.

    Raises:
        CassetteCorrupt: the disk refuses.
        ValueError: the file is closed.
    """
    try:
        data = os.pread(file.fileno(), size, offset)
        while len(data) < size:
            more = os.pread(file.fileno(), size - len(data), offset + len(data))
            if not more:
                break
            data += more
    except (OSError, OverflowError, MemoryError) as error:
        raise unreadable(path, f"it cannot be read ({_reason(error)})") from error
    return data


def write_all(descriptor: int, data: bytes) -> None:
    """Writes everything, in as many writes as the system makes of it.

    Raises:
        OSError: the disk refuses; some of it may be written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def put_in_place(source: Path, target: Path) -> None:
    """Gives ``source`` the name ``target``, in one step and never over something that is there.

    Raises:
        CassetteExists: something is there; ``source`` stays.
        OSError: the disk refuses; ``source`` stays.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise CassetteExists(str(target)) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):  # without links this is a check and a rename, with a moment between them
            raise CassetteExists(str(target)) from None
        os.rename(source, target)
    else:
        os.unlink(source)
    sync_folder(target.parent)


def keep_beside(target: Path, archive: Path) -> None:
    """Gives ``target`` a second name before it is replaced. Where links are not to be had, moves it.

    Raises:
        FileExistsError: another file has that name.
        OSError: the disk refuses.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(target, archive)
    except FileExistsError:
        if not os.path.samefile(target, archive):  # the same file: an earlier run was stopped right here
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(archive):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(archive)) from None
        os.rename(target, archive)
    sync_folder(archive.parent)


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder last. Some file systems cannot; the data itself was synced by then."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def disk_failure(path: Path, error: BaseException | str, *, hint: str = "") -> DiskFailure:
    """The error for a file that cannot be written."""
    return DiskFailure(f"cannot write {path}: {_reason(error)}", hint=hint)


def _reason(error: BaseException | str) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
