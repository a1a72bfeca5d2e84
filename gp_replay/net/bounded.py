"""Commands with a hard deadline: each in a process group of its own, which ends with it, whatever hangs in there.

::

    started ──► ended by itself ──────────► what is left of its group is killed (or left, where it was to start it)
       │
       └──► deadline, or we are cancelled ─► polite signals to the group, a grace, SIGKILL to the group

Output goes to a file and not through a pipe: a process that the command left behind would keep a pipe open.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from gp_replay.errors import UsageError

__all__ = ["Ended", "kill_group", "run_bounded"]

_MAX_OUTPUT_BYTES = 65_536
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code, 128 + signal number when a signal ended it; None when it was ended at the deadline.
        stdout, stderr: the last of what it said, where that was kept.
        group: what it left running, by the number of its process group; 0 for nothing.
    """

    code: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    group: int = 0

    @property
    def last_line(self) -> str:
        """The last line it said to people."""
        lines = (self.stderr.strip() or self.stdout.strip()).decode("utf-8", "replace").splitlines()
        return lines[-1] if lines else ""


async def run_bounded(
    command: Sequence[str],
    *,
    seconds: float,
    variables: Mapping[str, str] | None = None,
    keep_output: bool = True,
    stdout_to: int | None = None,
    leave_running: bool = False,
    grace_seconds: float = _GRACE_SECONDS,
    signals: Sequence[int] = (signal.SIGTERM,),
) -> Ended:
    """Runs a command for at most ``seconds``.

    Args:
        command: program and arguments.
        seconds: until it is ended.
        variables: added to our environment.
        keep_output: what it says is kept and stdin is empty; else it has our standard streams.
        stdout_to: a file descriptor for its stdout, where output is not kept.
        leave_running: what it left running when it ended by itself stays.
        grace_seconds: between the first of ``signals`` and SIGKILL; 0 kills at once.
        signals: ask it to end, one after the other; the grace is divided among them.

    Raises:
        UsageError: there is no such program, or it cannot be run.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        kept = {"stdin": asyncio.subprocess.DEVNULL, "stdout": out, "stderr": err}
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **(variables or {})},
                start_new_session=True,
                **(kept if keep_output else {"stdout": stdout_to}),
            )
        except (OSError, ValueError) as error:
            words = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot run {command[0]!r}: {words}") from error
        left = False
        try:
            code = await _wait(process, seconds)
            left = leave_running and code is not None and _alive(process.pid)
        finally:
            if not left:
                await _end(process, grace_seconds, signals)
        return Ended(code=code, stdout=_tail(out), stderr=_tail(err), group=process.pid if left else 0)


async def kill_group(group: int) -> None:
    """Ends the processes of a group: SIGTERM, and SIGKILL for those who have not gone a moment later."""
    _signal(group, signal.SIGTERM)
    for _ in range(20):
        if not _alive(group):
            return
        await asyncio.sleep(0.02)
    _signal(group, signal.SIGKILL)


async def _wait(process: asyncio.subprocess.Process, seconds: float) -> int | None:
    try:
        async with asyncio.timeout(seconds):
            code = await process.wait()
    except TimeoutError:
        return None
    return code if code >= 0 else 128 - code


async def _end(process: asyncio.subprocess.Process, grace_seconds: float, signals: Sequence[int]) -> None:
    for number in signals if grace_seconds else ():
        if process.returncode is not None:
            break
        _signal(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds / len(signals)):
                await process.wait()
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _tail(file: IO[bytes]) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _MAX_OUTPUT_BYTES))
    return file.read()
