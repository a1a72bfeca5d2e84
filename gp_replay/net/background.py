"""An event loop in a thread, for callers that have none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["BackgroundLoop"]

T = TypeVar("T")


class BackgroundLoop:
    """Runs coroutines in a thread of its own until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gp-replay", daemon=True)
        self._lock = threading.Lock()
        self._closed = False
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs ``work`` in the thread and returns what it returns, or raises what it raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(self, work: Callable[[], T]) -> T:
        """Calls ``work`` in the thread; from there itself at once, and when it has ended, here.

        Any thread may call this at any time, also while another one closes the loop. Returns and raises what ``work``
        does.
        """
        if threading.current_thread() is self._thread:
            return work()
        done: Future[T] = Future()
        with self._lock:
            there = not self._closed
            if there:  # before the stop, so it is run
                self._loop.call_soon_threadsafe(_settle, done, work)
        if there:
            return done.result()
        self._thread.join()
        return work()

    def close(self) -> None:
        """Stops the loop and joins the thread."""
        with self._lock:
            self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _settle(done: Future[T], work: Callable[[], T]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:  # whatever it is, it is the caller's, who waits for it
        done.set_exception(error)
