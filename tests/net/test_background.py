"""An event loop in a thread: results and errors come back, and it ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gp_replay.net.background import BackgroundLoop


def test_results_and_errors_come_back_from_another_thread() -> None:
    loop = BackgroundLoop()
    before = threading.active_count()

    async def where() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    async def fail() -> None:
        raise LookupError("there")

    assert loop.run(where()) == "gp-replay"
    with pytest.raises(LookupError, match="there"):
        loop.run(fail())
    loop.close()
    assert threading.active_count() == before - 1
