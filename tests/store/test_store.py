"""Cassettes on disk: written as they happen, never lost, never overwritten, and read without trust."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dialogue import SERVER, ask, cassette, chat, header
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import cassettes

from gp_replay.core.document import ordered_events, to_document
from gp_replay.core.document_reading import from_document
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Event, Gone, How, Piece
from gp_replay.errors import (
    CassetteCorrupt,
    CassetteError,
    CassetteExists,
    CassetteMissing,
    CassetteTooNew,
    CassetteUnfinished,
    DiskFailure,
)
from gp_replay.store import (
    CassetteFile,
    CassetteWriter,
    find_cassettes,
    find_unfinished,
    next_revision,
    repair,
)

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
TAPE = cassette(
    ask(1, "POST", "/v1", '{"a":1}', answer=[(5, "one"), (9, "two")]), chat(2, "5 < hello", "9 > go", owner="alice")
)


def write(path: Path, tape: MemoryCassette = TAPE, **options: object) -> Path:
    writer = CassetteWriter(path, tape.header, **options)  # type: ignore[arg-type]
    for event in ordered_events(tape):
        writer.write(event)
    writer.close()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.gpr")


@given(cassettes())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_cassette_reads_back_as_it_was_written(tmp_path: Path, tape: MemoryCassette) -> None:
    target = tmp_path / f"{time.monotonic_ns()}.gpr"
    if not tape.footer.entries:
        return
    write(target, tape)
    with CassetteFile.open(target) as read:
        assert read.header == tape.header
        assert [replace(entry, offsets=()) for entry in read.footer.entries] == [
            replace(entry, offsets=()) for entry in tape.footer.entries
        ]
        for entry in tape.footer.entries:
            assert read.events(entry.stream) == tape.events(entry.stream)


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
    assert CassetteWriter(tmp_path / "a.gpr", header()).close() is None
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


@pytest.mark.parametrize("place", [0, 9, 12, 60, -1, -9, -20, -60])
def test_any_changed_byte_is_noticed_on_opening(place: int, path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x55
    path.write_bytes(data)
    with pytest.raises((CassetteCorrupt, CassetteTooNew, CassetteUnfinished)):
        CassetteFile.open(path).close()


def test_a_changed_event_is_noticed_even_without_the_digest(path: Path) -> None:
    data = path.read_bytes().replace(b"hello", b"hallo", 1)
    path.write_bytes(data)
    with pytest.raises(CassetteCorrupt):
        CassetteFile.open(path).close()
    with CassetteFile.open(path, verify=False) as tape:
        assert tape.events(1)
        with pytest.raises(CassetteCorrupt):
            tape.events(2)


def test_missing_too_new_and_strange_files_are_four_different_errors(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CassetteMissing):
        CassetteFile.open(tmp_path / "none.gpr")
    data = bytearray(path.read_bytes())
    data[9] = 2
    (tmp_path / "new.gpr").write_bytes(data)
    with pytest.raises(CassetteTooNew):
        CassetteFile.open(tmp_path / "new.gpr")
    (tmp_path / "cut.gpr").write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CassetteUnfinished):
        CassetteFile.open(tmp_path / "cut.gpr")
    for content in (b"", b"not a cassette", os.urandom(4096)):
        (tmp_path / "odd.gpr").write_bytes(content)
        with pytest.raises(CassetteCorrupt):
            CassetteFile.open(tmp_path / "odd.gpr")
    os.mkfifo(tmp_path / "pipe.gpr")
    (tmp_path / "folder.gpr").mkdir()
    for name in ("pipe.gpr", "folder.gpr"):
        with pytest.raises(CassetteError):
            CassetteFile.open(tmp_path / name)


def test_a_file_that_shrinks_while_it_is_open_is_an_error_and_no_crash(path: Path) -> None:
    with CassetteFile.open(path) as tape:
        os.truncate(path, 100)
        with pytest.raises(CassetteCorrupt):
            for entry in tape.footer.entries:
                tape.events(entry.stream)
        with pytest.raises(KeyError):
            tape.events(99)


# Recovery


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
    lines: list[str] = []
    while len(lines) < 150:
        lines.append(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    number, at = (lines + [line for line in rest.splitlines() if line.count(" ") == 1])[-1].split()
    result = repair(tmp_path / "k.gpr.part")
    with CassetteFile.open(result.path) as tape:
        last = [event for event in tape.events(1) if isinstance(event, Piece)][-1]
    assert float(at) - float(last.data.split()[1]) < 0.1, (number, last)


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


# Finding


def test_folders_are_searched_and_leftovers_are_named(path: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "sub" / "b.gpr")
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / ".hidden" / "c.gpr")
    (tmp_path / "left.gpr.part").write_bytes(b"x")
    assert find_cassettes([tmp_path]) == [path, other]
    assert find_cassettes([other, path]) == [other, path]
    assert find_unfinished(tmp_path) == [tmp_path / "left.gpr.part"]
    (tmp_path / "empty").mkdir()
    for missing in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(CassetteMissing):
            find_cassettes([missing])


# The golden file of every format version


def goldens() -> Iterator[int]:
    yield from (int(file.stem.removeprefix("format-")) for file in GOLDEN.glob("*.gpr"))


@pytest.mark.parametrize("version", sorted(goldens()))
def test_a_cassette_of_every_version_is_still_read_as_it_was(version: int) -> None:
    expected = json.loads((GOLDEN / f"format-{version}.json").read_text(encoding="utf-8"))
    with CassetteFile.open(GOLDEN / f"format-{version}.gpr") as tape:
        assert to_document(tape) == expected
        assert (tape.header, ordered_events(tape)) == from_document(expected)


def test_there_is_a_golden_file_of_every_version() -> None:
    from gp_replay.core.records import FORMAT_VERSION

    assert sorted(goldens()) == list(range(1, FORMAT_VERSION + 1))


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_bytes_raise_exactly_the_documented_errors(tmp_path: Path, data: bytes) -> None:
    target = tmp_path / "fuzz.gpr"
    target.write_bytes(b"GPREPLAY\x00\x01" + data)
    with pytest.raises((CassetteCorrupt, CassetteUnfinished)):
        CassetteFile.open(target)
