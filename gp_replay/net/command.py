"""The command behind ``--``: started with the variables that point it at us, waited for, ended with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from gp_replay.errors import UsageError

__all__ = ["Stopped", "run_command"]

_GRACE_SECONDS = 5.0


class Stopped:
    """Listens for SIGINT and SIGTERM while a ``with`` block runs; enter it before anybody is told that we are there."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._taken: list[int] = []

    def __enter__(self) -> Stopped:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Only the main thread may; elsewhere the caller decides when to stop.
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, self._event.set)
                self._taken.append(number)
        return self

    def __exit__(self, *exc: object) -> None:
        for number in self._taken:
            asyncio.get_running_loop().remove_signal_handler(number)

    async def wait(self) -> None:
        """Returns once one came."""
        await self._event.wait()


async def run_command(command: Sequence[str], variables: Mapping[str, str], stopped: Stopped) -> int:
    """Runs ``command`` with our standard streams and the environment plus ``variables``.

    When we are told to stop, so is the command: SIGTERM, and after 5 s it is killed.

    Returns:
        Its exit code; 128 + signal number when a signal ended it.

    Raises:
        UsageError: there is no such program, or it cannot be run.
    """
    try:
        process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **variables})
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot run {command[0]!r}: {getattr(error, 'strerror', None) or error}") from error
    ended = asyncio.ensure_future(process.wait())
    told = asyncio.ensure_future(stopped.wait())
    await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not ended.done():
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                await asyncio.shield(ended)
        except TimeoutError:
            process.kill()
    code = await ended
    return code if code >= 0 else 128 - code
