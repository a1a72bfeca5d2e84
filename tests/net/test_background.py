"""An event loop in a thread: results and errors come back, and it ends."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

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


def test_a_function_is_called_in_the_thread_also_from_there() -> None:
    loop = BackgroundLoop()
    assert loop.call(lambda: threading.current_thread().name) == "gp-replay"
    assert loop.call(lambda: loop.call(lambda: "within")) == "within"
    with pytest.raises(ZeroDivisionError):
        loop.call(lambda: 1 / 0)
    loop.close()
    assert loop.call(lambda: threading.current_thread() is threading.main_thread())


def test_a_call_comes_back_also_while_the_loop_is_closed() -> None:
    for _ in range(20):
        loop = BackgroundLoop()
        with ThreadPoolExecutor(4) as threads:
            calls = [threads.submit(loop.call, lambda: 7) for _ in range(50)]
            loop.close()
            assert [call.result(timeout=5) for call in calls] == [7] * 50
