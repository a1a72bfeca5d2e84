"""The command behind ``--``: started with the variables that point it at us, waited for, ended with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from gp_replay.errors import UsageError

__all__ = ["run_command", "wait_for_signal"]

_GRACE_SECONDS = 5.0


async def run_command(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Runs ``command`` with our standard streams and the environment plus ``variables``.

    An interrupt of ours reaches it too (it shares the terminal); SIGTERM is passed on, and after 5 s it is killed.

    Returns:
        Its exit code; 128 + signal number when a signal ended it.

    Raises:
        UsageError: there is no such program, or it cannot be run.
    """
    try:
        process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **variables})
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot run {command[0]!r}: {getattr(error, 'strerror', None) or error}") from error
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, ValueError):
            loop.add_signal_handler(number, stop.set)
    ended = asyncio.ensure_future(process.wait())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
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


async def wait_for_signal() -> None:
    """Returns at SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
