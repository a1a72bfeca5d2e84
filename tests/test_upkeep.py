"""Looking after cassettes, below the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from filed import TAPE, write

from gp_replay.core.document import ordered_events
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Origin
from gp_replay.errors import CassetteCorrupt, CassetteExists, CassetteMissing, UsageError
from gp_replay.store import CassetteFile
from gp_replay.upkeep import convert, diff, list_cassettes, redaction_warning, show


def test_leftovers_and_broken_files_are_listed_too(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr")
    (tmp_path / "b.gpr").write_bytes(b"x")
    (tmp_path / "c.gpr.part").write_bytes(b"x")
    found = list_cassettes(tmp_path)
    assert [bool(row.problem) for row in found.rows] == [False, True]
    assert found.exit_code == 3
    assert "gp-replay repair" in found.warnings[0]
    with pytest.raises(CassetteMissing):
        list_cassettes(tmp_path / "none")


def test_a_document_with_one_changed_character_comes_back_with_it(tmp_path: Path) -> None:
    source = write(tmp_path / "a.gpr")
    document = convert(source, tmp_path / "a.yaml")
    document.write_text(document.read_text().replace("hello", "hallo"))
    changed = convert(document, tmp_path / "b.gpr")
    assert not diff(source, changed).same
    assert "hallo" in "\n".join(show(changed, streams=None, max_bytes=None, as_json=False))
    with CassetteFile.open(changed) as tape:
        assert tape.footer.fingerprint
        assert tape.header.origin is Origin.EDITED
    unchanged = convert(convert(source, tmp_path / "c.json"), tmp_path / "d.gpr")
    with CassetteFile.open(unchanged) as tape:
        assert tape.header == TAPE.header


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.yaml", "x: ["), ("a.json", "{"), ("a.yaml", "x: 1"), ("a.json", "\ufeffé"), ("a.yaml", "&a [*a]")],
)
def test_a_document_that_is_none_is_corrupt_and_nothing_is_written(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CassetteCorrupt, match=name):
        convert(tmp_path / name, tmp_path / "b.gpr")
    assert not list(tmp_path.glob("b.gpr*"))


def test_nothing_is_overwritten_unless_forced(tmp_path: Path) -> None:
    source = write(tmp_path / "a.gpr")
    (tmp_path / "a.json").write_text("mine")
    with pytest.raises(CassetteExists):
        convert(source, tmp_path / "a.json")
    assert convert(source, tmp_path / "a.json", force=True).read_text() != "mine"
    with pytest.raises(UsageError):
        convert(source, source)
    with pytest.raises(CassetteMissing):
        convert(tmp_path / "none.yaml", tmp_path / "x.gpr")


def test_redaction_off_is_noticed(tmp_path: Path) -> None:
    raw = write(tmp_path / "r.gpr", MemoryCassette(replace(TAPE.header, redaction=("off",)), ordered_events(TAPE)))
    assert "redaction off" in redaction_warning(raw)
    assert redaction_warning(write(tmp_path / "a.gpr")) == ""
    assert redaction_warning(tmp_path / "none.gpr") == ""
