"""What a recorder that was killed left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from dialogue import ask, header
from filed import write

from gp_replay.core.model import Gone, How, Side
from gp_replay.core.records import Limits, decode_trailer
from gp_replay.errors import (
    CassetteCorrupt,
    CassetteError,
    CassetteExists,
    CassetteMissing,
)
from gp_replay.store import (
    CassetteFile,
    CassetteWriter,
    repair,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.gpr")


@pytest.mark.slow
def test_a_recording_cut_at_any_byte_keeps_every_whole_event_and_says_which_streams_were_open(
    path: Path, tmp_path: Path
) -> None:
    data = path.read_bytes()
    with CassetteFile.open(path) as tape:
        order = {
            offset: event
            for entry in tape.footer.entries
            for offset, event in zip(entry.offsets, tape.events(entry.stream), strict=True)
        }
    begins = sorted(order)
    footer = decode_trailer(data[-16:], path="", size=len(data))
    assert footer is not None
    ends = [*begins[1:], footer]
    for cut in range(len(data) + 1):
        part = tmp_path / f"cut-{cut}.gpr.part"
        part.write_bytes(data[:cut])
        if cut < begins[0]:
            with pytest.raises(CassetteCorrupt):
                repair(part)
            continue
        result = repair(part)
        whole = [order[begin] for begin, end in zip(begins, ends, strict=True) if end <= cut]
        with CassetteFile.open(result.path) as tape:
            kept = [event for entry in tape.footer.entries for event in tape.events(entry.stream)]
            open_streams = {entry.stream for entry in tape.footer.entries if not entry.complete}
        ended = [event.stream for event in kept if isinstance(event, Gone) and event.how is How.CUT]
        assert sorted(ended) == sorted(open_streams)
        assert all(event in kept for event in whole)
        assert (result.events, result.cut, len(kept)) == (len(whole), len(ended), len(whole) + len(ended))
        if cut < footer:
            assert result.lost_bytes == cut - max([begins[0], *(end for end in ends if end <= cut)])
        assert part.read_bytes() == data[:cut]


def test_nothing_behind_a_damaged_record_is_taken_and_the_problem_is_named(path: Path, tmp_path: Path) -> None:
    data = bytearray(path.read_bytes())
    with CassetteFile.open(path) as tape:
        begins = sorted(offset for entry in tape.footer.entries for offset in entry.offsets)
    data[begins[3] + 8] ^= 1
    part = tmp_path / "damaged.gpr.part"
    part.write_bytes(data)
    result = repair(part)
    assert (result.events, result.lost_bytes) == (3, len(data) - begins[3])
    assert "checksum" in result.problem


@pytest.mark.parametrize("limits", [Limits(max_streams=1), Limits(max_records=3), Limits(max_records=4)])
def test_what_repair_makes_can_be_opened_within_the_same_limits(limits: Limits, path: Path, tmp_path: Path) -> None:
    part = tmp_path / "long.gpr.part"
    part.write_bytes(path.read_bytes())
    result = repair(part, limits=limits)
    assert result.problem == "the cassette is full"
    with CassetteFile.open(result.path, limits=limits) as tape:
        assert sum(entry.events for entry in tape.footer.entries) == result.events + result.cut


def test_an_index_over_the_limit_is_an_error_and_leaves_nothing(path: Path, tmp_path: Path) -> None:
    part = tmp_path / "long.gpr.part"
    part.write_bytes(path.read_bytes())
    with pytest.raises(CassetteCorrupt, match="the limit is 50"):
        repair(part, limits=Limits(max_footer_bytes=50))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.gpr", "long.gpr.part"]


def test_who_had_gone_is_not_cut_again(tmp_path: Path) -> None:
    asked = ask(1, "GET", "/", answer=[(1, "x")])
    for side, how, cut in ((Side.SERVER, How.EOF, 0), (Side.CLIENT, How.RESET, 0), (Side.CLIENT, How.EOF, 1)):
        writer = CassetteWriter(tmp_path / f"{side.name}-{how.name}.gpr", header())
        for event in [*asked[:-1], Gone(at_us=7000, stream=1, side=side, how=how)]:
            writer.write(event)
        writer.abandon()
        assert repair(writer.part).cut == cut, (side, how)


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
