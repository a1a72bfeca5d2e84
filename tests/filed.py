"""A small cassette and a way to put it in a file."""

from __future__ import annotations

from pathlib import Path

from dialogue import ask, cassette, chat

from gp_replay.core.document import ordered_events
from gp_replay.core.index import MemoryCassette
from gp_replay.store import CassetteWriter

TAPE = cassette(
    ask(1, "POST", "/v1", '{"a":1}', answer=[(5, "one"), (9, "two")]), chat(2, "5 < hello", "9 > go", owner="alice")
)


def write(path: Path, tape: MemoryCassette = TAPE, **options: object) -> Path:
    writer = CassetteWriter(path, tape.header, **options)  # type: ignore[arg-type]
    for event in ordered_events(tape):
        writer.write(event)
        writer.drain()
    writer.close()
    return path
