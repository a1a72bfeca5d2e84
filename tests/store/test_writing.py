"""Written as it happens, never lost, never overwritten."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from dialogue import SERVER, ask, header
from filed import TAPE, write

from gp_replay.core.document import ordered_events
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Piece
from gp_replay.core.records import Limits
from gp_replay.errors import CassetteError, CassetteExists, CassetteUnfinished, DiskFailure
from gp_replay.store import CassetteFile, CassetteWriter, find_cassettes, next_revision, repair, writing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.gpr")


def test_while_it_is_written_it_is_a_part_that_nobody_takes_for_a_cassette(tmp_path: Path) -> None:
    writer = CassetteWriter(tmp_path / "a.gpr", header())
    assert [item.name for item in tmp_path.iterdir()] == ["a.gpr.part"]
    with pytest.raises(CassetteUnfinished):
        CassetteFile.open(tmp_path / "a.gpr.part")
    with pytest.raises(CassetteUnfinished):
        CassetteWriter(tmp_path / "a.gpr", header())
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_nothing_recorded_leaves_nothing(tmp_path: Path) -> None:
    writer = CassetteWriter(tmp_path / "a.gpr", header())
    assert (writer.close(), writer.close()) == (None, None)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_cassette_is_never_overwritten(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(CassetteExists):
        CassetteWriter(path, header())
    late = CassetteWriter(tmp_path / "b.gpr", TAPE.header)
    for event in TAPE.events(1):
        late.write(event)
    (tmp_path / "b.gpr").write_bytes(b"somebody else's")
    with pytest.raises(CassetteExists):
        late.close()
    assert (tmp_path / "b.gpr").read_bytes() == b"somebody else's"
    assert path.read_bytes() == before


def test_a_refused_close_is_refused_again_and_the_recording_is_kept(tmp_path: Path) -> None:
    late = CassetteWriter(tmp_path / "b.gpr", TAPE.header)
    for event in TAPE.events(1):
        late.write(event)
    (tmp_path / "b.gpr").write_bytes(b"somebody else's")
    for _ in range(2):
        with pytest.raises(CassetteExists):
            late.close()
    assert late.part.exists()


def test_a_file_that_is_replaced_by_garbage_meanwhile_is_a_disk_failure(path: Path) -> None:
    with CassetteFile.open(path) as old:
        writer = CassetteWriter(path, next_revision(TAPE.header, old), replace=True)
    for event in TAPE.events(1):
        writer.write(event)
    path.write_bytes(b"somebody else's")
    with pytest.raises(DiskFailure):
        writer.close()
    assert path.read_bytes() == b"somebody else's"
    assert writer.part.exists()


def test_a_recording_that_is_deleted_meanwhile_is_a_disk_failure(tmp_path: Path) -> None:
    writer = CassetteWriter(tmp_path / "b.gpr", TAPE.header)
    writer.part.unlink()
    for event in TAPE.events(1):
        writer.write(event)
    with pytest.raises(DiskFailure, match="deleted"):
        writer.close()


def test_what_is_written_never_breaks_the_limits_of_who_reads_it(tmp_path: Path) -> None:
    limits = Limits(max_streams=1)
    writer = CassetteWriter(tmp_path / "b.gpr", TAPE.header, limits=limits)
    for stream in (1, 2):
        for event in TAPE.events(stream):
            writer.write(event)
    with pytest.raises(DiskFailure, match="full"):
        writer.close()
    assert repair(writer.part, limits=limits).streams <= 1


def test_an_index_that_could_not_be_read_ends_the_recording_before_it_is_too_large(tmp_path: Path) -> None:
    limits = Limits(max_footer_bytes=200_000)
    writer = CassetteWriter(tmp_path / "b.gpr", header(), limits=limits)
    number = 0
    while writer.failure is None:
        number += 1
        for event in ask(number, "GET", "/" + "x" * 9000, answer=[(1, "y")])[:-1]:
            writer.write(event)
    with pytest.raises(DiskFailure, match="full"):
        writer.close()
    with CassetteFile.open(repair(writer.part, limits=limits).path, limits=limits) as tape:
        assert [entry.stream for entry in tape.footer.entries][:5] == [1, 2, 3, 4, 5]


class Killed(BaseException):
    """Stands for the end of the program at one place."""


@pytest.mark.parametrize("step", ["fsync", "link", "unlink", "mkdir", "replace", "stat"])
def test_a_program_that_dies_at_any_step_of_saving_loses_neither_the_old_nor_the_new(
    step: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    before = path.read_bytes()
    with CassetteFile.open(path) as old:
        revision = CassetteWriter(path, next_revision(TAPE.header, old), replace=True)
    first = CassetteWriter(tmp_path / "b.gpr", TAPE.header)
    for writer in (first, revision):
        for event in ordered_events(TAPE):
            writer.write(event)
        with monkeypatch.context() as patched:
            patched.setattr(os, step, die)
            with suppress(Killed):
                writer.close()
        if writer.part.exists():
            repair(writer.part.rename(tmp_path / f"left-{writer.path.name}.part"))
    found = sorted(tmp_path.rglob("*.gpr"))
    assert any(file.read_bytes() == before for file in found)
    held = []
    for file in found:
        with CassetteFile.open(file) as tape:
            held.append((tape.header.revision, *(tape.events(stream) for stream in (1, 2))))
    everything = (TAPE.events(1), TAPE.events(2))
    assert held.count((1, *everything)) >= 2
    assert (2, *everything) in held


def test_a_close_that_was_interrupted_never_says_that_nothing_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    writer = CassetteWriter(tmp_path / "b.gpr", TAPE.header)
    for event in TAPE.events(1):
        writer.write(event)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            writer.close()
    with pytest.raises(DiskFailure, match="interrupted"):
        writer.close()
    with CassetteFile.open(repair(writer.part).path) as tape:
        assert tape.events(1) == TAPE.events(1)


def test_a_disk_that_hangs_stops_neither_the_relay_nor_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked = threading.Event(), threading.Event()

    def hang(descriptor: int, data: bytes) -> None:
        asked.set()
        answers.wait(30)

    writer = CassetteWriter(tmp_path / "b.gpr", TAPE.header)
    monkeypatch.setattr(writing, "write_all", hang)
    monkeypatch.setattr(writing, "_PATIENCE_S", 0.01)
    for event in TAPE.events(1):
        writer.write(event)
    assert asked.wait(10)
    began = time.monotonic()
    for event in TAPE.events(2):
        writer.write(event)
    assert time.monotonic() - began < 5
    with pytest.raises(DiskFailure, match="does not answer"):
        writer.close()
    assert writer.part.exists()
    answers.set()


def test_a_revision_replaces_and_keeps_what_it_replaces(path: Path, tmp_path: Path) -> None:
    with CassetteFile.open(path) as old:
        digest, changed = old.digest, next_revision(replace(TAPE.header, salt=b"f" * 16), old)
    before = path.read_bytes()
    write(path, MemoryCassette(changed, ordered_events(TAPE)), replace=True)
    kept = tmp_path / ".revisions" / "a" / f"1-{digest[:8]}.gpr"
    assert kept.read_bytes() == before
    with CassetteFile.open(path) as new:
        assert (new.header.revision, new.header.salt, new.header.replaces.hex()) == (2, TAPE.header.salt, digest)
    assert find_cassettes([tmp_path]) == [path]


PIECE = re.compile(rb"\d+ \d+\.\d{6}")
KILLED = """
import sys, time
sys.path[:0] = {path!r}
from dialogue import ask, header
from gp_replay.core.model import Piece, Side
from gp_replay.store import CassetteWriter
writer = CassetteWriter({out!r}, header())
for event in ask(1, "GET", "/", answer=[(1, "x")])[:-1]:
    writer.write(event)
number = 0
began = time.monotonic()
while True:
    number += 1
    writer.write(Piece(at_us=10_000 + number, stream=1, side=Side.SERVER, data=b"%d %f" % (number, time.monotonic())))
    print(number, time.monotonic(), flush=True)
    time.sleep(0.002)
"""


@pytest.mark.slow
def test_a_recorder_killed_at_any_moment_loses_at_most_100_ms(tmp_path: Path) -> None:
    out = tmp_path / "k.gpr"
    script = KILLED.format(path=sys.path, out=str(out))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    part = tmp_path / "k.gpr.part"
    lost: list[float] = []
    written = [b"0"]
    for _ in range(250):
        at = float(process.stdout.readline().split()[1])
        written = PIECE.findall(part.read_bytes())[-1:] or written
        lost.append(at - float(written[0].split()[-1]))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    # What a kill would have lost at each of these moments; a machine that stalls for a moment is nobody's fault.
    assert sum(seconds < 0.1 for seconds in lost[60:]) > 0.9 * len(lost[60:]), lost
    with CassetteFile.open(repair(part).path) as tape:
        last = [event for event in tape.events(1) if isinstance(event, Piece)][-1]
    assert int(last.data.split()[0]) >= int(written[0].split()[0])


FULL = """
import resource, sys
sys.path[:0] = {path!r}
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from dialogue import ask, header
from gp_replay.core.model import Piece, Side
from gp_replay.errors import DiskFailure
from gp_replay.store import CassetteWriter
import time
writer = CassetteWriter({out!r}, header())
for event in ask(1, "GET", "/", answer=[(1, "x")])[:-1]:
    writer.write(event)
number = 0
while writer.failure is None:
    number += 1
    writer.write(Piece(at_us=10_000 + number, stream=1, side=Side.SERVER, data=b"x" * 1000))
    time.sleep(0.001)
writer.write(Piece(at_us=99_000_000, stream=1, side=Side.SERVER, data=b"ignored"))
try:
    writer.close()
except DiskFailure as error:
    print(error)
"""


@pytest.mark.slow
def test_a_full_disk_is_said_once_and_what_was_written_can_be_repaired(tmp_path: Path) -> None:
    out = tmp_path / "f.gpr"
    script = FULL.format(path=sys.path, out=str(out))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert "f.gpr.part" in done.stdout
    assert not out.exists()
    result = repair(tmp_path / "f.gpr.part")
    with CassetteFile.open(result.path) as tape:
        assert sum(isinstance(event, Piece) and event.side is SERVER for event in tape.events(1)) > 10


def test_a_folder_that_cannot_be_written_is_a_disk_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((DiskFailure, CassetteError)):
        CassetteWriter(tmp_path / "file" / "a.gpr", header())


def test_who_copies_faster_than_the_disk_takes_may_wait_and_who_records_never_does(tmp_path: Path) -> None:
    events = ask(1, "GET", "/", answer=[(1, "x" * 50_000)] * 6)
    for name, patient in (("patient", True), ("hasty", False)):
        writer = CassetteWriter(tmp_path / f"{name}.gpr", header(), max_pending_bytes=100_000)
        for event in events:
            writer.write(event)
            if patient:
                writer.drain()
        if patient:
            writer.close()
        else:
            with pytest.raises(DiskFailure, match="does not keep up"):
                writer.close()
