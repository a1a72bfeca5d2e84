"""Proof that processes have ended: each holds a FIFO open, and whoever reads it sees its end only when all are gone."""

from __future__ import annotations

import asyncio
import os
import select
from pathlib import Path

import pytest

_SECONDS = 5.0


class Lives:
    """A FIFO. A shell line ``exec 9>PATH; echo x >&9`` is a life; what it starts shares it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.line = f"exec 9>{path}; echo x >&9"
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def begun(self) -> None:
        """Waits for the first life."""
        there = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._reader, there.set)
        await there.wait()
        loop.remove_reader(self._reader)

    def began(self) -> bool:
        """Whether there ever was a life; ask after `all_ended`."""
        return bool(self._seen)

    def all_ended(self) -> bool:
        """Waits until nobody holds the FIFO any more; False when somebody still does after some seconds."""
        self._seen = b""
        while select.select([self._reader], [], [], _SECONDS)[0]:
            data = os.read(self._reader, 4096)
            if not data:
                return True
            self._seen += data
        return False

    def close(self) -> None:
        os.close(self._reader)


def program(path: Path, *lines: str) -> Path:
    """A shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def use_programs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs in ``folder`` come first; one named docker that is not there is not looked for elsewhere either."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
