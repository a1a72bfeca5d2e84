"""Every error gp-replay raises on purpose, and the exit code each one means on the command line.

::

    GpReplayError
    ├── UsageError            2  a flag, a setting or an argument that cannot be meant
    │   └── CassetteExists    2  recording would overwrite a cassette
    ├── CassetteError         3  a cassette cannot be read
    │   ├── CassetteMissing
    │   ├── CassetteCorrupt
    │   ├── CassetteTooNew
    │   └── CassetteUnfinished   a left-over ``.part``
    ├── CouldNotCheck         4  the work could not be done, so nothing is known
    │   ├── ListenError          port in use, address not ours
    │   ├── UpstreamUnreachable
    │   ├── DiskFailure
    │   └── NothingHappened      nothing was served or recorded
    └── WireError             -  bytes that are not the protocol they claim to be

An error carries its facts as attributes and builds its text in ``__str__``: what, where, and what to do.
Foreign errors are translated at the seam where they occur.
"""

from __future__ import annotations

__all__ = [
    "CassetteCorrupt",
    "CassetteError",
    "CassetteExists",
    "CassetteMissing",
    "CassetteTooNew",
    "CassetteUnfinished",
    "CouldNotCheck",
    "DiskFailure",
    "GpReplayError",
    "ListenError",
    "NothingHappened",
    "UpstreamUnreachable",
    "UsageError",
    "WireError",
]


class GpReplayError(Exception):
    """Root of all errors raised on purpose.

    Attributes:
        exit_code: what a command that fails with this error exits with.
        hint: what to do about it, one sentence without a full stop, or "".
    """

    exit_code = 4
    hint = ""


class UsageError(GpReplayError):
    """A flag, setting or argument that cannot be meant."""

    exit_code = 2

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return self.problem


class CassetteExists(UsageError):
    """Recording would overwrite a cassette; ``--mode all`` and ``new-episodes`` make a new revision instead."""

    def __init__(self, path: str) -> None:
        hint = "--mode all records a new revision, --mode new-episodes adds to it; or choose another --out"
        super().__init__(f"{path} exists", hint=hint)
        self.path = path


class CassetteError(GpReplayError):
    """A cassette cannot be read. ``path`` names it."""

    exit_code = 3

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class CassetteMissing(CassetteError):
    """There is no file, or no cassette in the folder."""

    hint = "gp-replay list shows the cassettes of a folder"

    def __str__(self) -> str:
        return f"{self.path}: no cassette there"


class CassetteCorrupt(CassetteError):
    """The bytes are not a cassette of a format this version reads, or they break a limit.

    Attributes:
        problem: what is wrong.
        offset: byte offset in the file, or None when the file as a whole is meant.
    """

    hint = "restore the file from version control, or record it again"

    def __init__(self, path: str, problem: str, *, offset: int | None = None) -> None:
        super().__init__(path)
        self.problem = problem
        self.offset = offset

    def __str__(self) -> str:
        where = "" if self.offset is None else f" at byte {self.offset}"
        return f"{self.path}: corrupt cassette: {self.problem}{where}"


class CassetteTooNew(CassetteError):
    """The cassette's format version is newer than this program."""

    hint = "update gp-replay, or record the cassette again with this version"

    def __init__(self, path: str, *, found: int, supported: int) -> None:
        super().__init__(path)
        self.found = found
        self.supported = supported

    def __str__(self) -> str:
        return f"{self.path}: cassette format {self.found} is newer than this gp-replay reads (up to {self.supported})"


class CassetteUnfinished(CassetteError):
    """A recording that was cut off, or is still being written."""

    @property
    def hint(self) -> str:  # type: ignore[override]
        return f"gp-replay repair {self.path}"

    def __str__(self) -> str:
        return f"{self.path}: unfinished recording"


class CouldNotCheck(GpReplayError):
    """The work could not be done, so nothing is known: never the same as fine."""

    exit_code = 4

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return self.problem


class ListenError(CouldNotCheck):
    """The address to listen on cannot be had."""


class UpstreamUnreachable(CouldNotCheck):
    """An upstream refused the connection, has no address, or fails TLS."""


class DiskFailure(CouldNotCheck):
    """The file system refused a write."""


class NothingHappened(CouldNotCheck):
    """A run that served or recorded nothing: not a success."""


class WireError(GpReplayError):
    """Bytes that are not the protocol they claim to be.

    Attributes:
        problem: what is wrong with them.
        status: the HTTP status a server would answer (400, 413, 431, 501, 505).
    """

    def __init__(self, problem: str, *, status: int = 400) -> None:
        super().__init__(problem)
        self.problem = problem
        self.status = status

    def __str__(self) -> str:
        return self.problem
