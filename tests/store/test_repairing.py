"""What a recorder that was killed left behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from filed import write

from gp_replay.core.model import Event, Gone, How
from gp_replay.errors import (
    CassetteError,
    CassetteExists,
    CassetteMissing,
)
from gp_replay.store import (
    CassetteFile,
    repair,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.gpr")


def whole_events(data: bytes, tmp_path: Path) -> list[Event]:
    part = tmp_path / f"{time.monotonic_ns()}.gpr.part"
    part.write_bytes(data)
    result = repair(part)
    assert part.exists()
    with CassetteFile.open(result.path) as tape:
        return [event for entry in tape.footer.entries for event in tape.events(entry.stream)]


def test_a_recording_cut_at_any_byte_keeps_every_whole_event_and_says_which_streams_were_open(
    path: Path, tmp_path: Path
) -> None:
    data = path.read_bytes()
    with CassetteFile.open(path) as tape:
        offsets = sorted(offset for entry in tape.footer.entries for offset in entry.offsets)
        events = [event for entry in tape.footer.entries for event in tape.events(entry.stream)]
    first = offsets[1]
    for cut in range(first, len(data) - 1, 7):
        kept = whole_events(data[:cut], tmp_path)
        cuts = [event for event in kept if isinstance(event, Gone) and event.how is How.CUT]
        whole = [event for event in kept if event not in cuts]
        ends = [*offsets[1:], len(data)]
        assert len(whole) >= sum(end <= cut for end in ends[:-1])
        assert all(event in events for event in whole)
        assert len({event.stream for event in cuts}) == len(cuts)


def test_repair_never_overwrites_and_refuses_what_holds_nothing(path: Path, tmp_path: Path) -> None:
    part = tmp_path / "a.gpr.part"
    part.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CassetteExists):
        repair(part)
    (tmp_path / "odd.gpr.part").write_bytes(b"not a cassette")
    with pytest.raises(CassetteError):
        repair(tmp_path / "odd.gpr.part")
    with pytest.raises(CassetteMissing):
        repair(tmp_path / "none.gpr.part")
