"""Looking after cassettes, below the command line."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from dialogue import ask, cassette, chat
from filed import TAPE, write

from gp_replay.core.document import ordered_events
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Origin
from gp_replay.core.places import format_place
from gp_replay.errors import (
    CassetteCorrupt,
    CassetteExists,
    CassetteMissing,
    CouldNotCheck,
    DiskFailure,
    UsageError,
)
from gp_replay.settings import load_profile, load_rules
from gp_replay.store import CassetteFile
from gp_replay.upkeep import convert, diff, learn, list_cassettes, redaction_warning, show


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


def takes(tmp_path: Path, *values: str) -> list[Path]:
    """Takes of one conversation, each with a value of its own beside a prompt and a word."""
    tmp_path.mkdir(exist_ok=True)
    return [
        write(
            tmp_path / f"take{number}.gpr",
            cassette(
                ask(1, "POST", "/v1", f'{{"mark":"{value}","city":"{city}","n":1,"text":"Say hi."}}', role="llm"),
                chat(2, f'5 > 42["say",{{"mark":"{value}"}}]', role="chat", at=50),
            ),
        )
        for number, (value, city) in enumerate(zip(values, ("Rome", "Oslo", "Rome"), strict=False))
    ]


def test_learning_writes_a_profile_that_matching_reads(tmp_path: Path) -> None:
    a, b = takes(tmp_path, "Pc3hZ9kQ", "x81TmA0v")
    taught = learn(a, b)
    assert taught.written
    assert [(item.role, format_place(item.at)) for item in taught.new] == [
        ("llm", "body.mark"),
        ("chat", "message{}[1].mark"),
    ]
    path = tmp_path / "take0.profile.json"
    plain = json.loads(path.read_text())
    assert path.read_text() == json.dumps(plain, indent=2, sort_keys=True) + "\n"
    with CassetteFile.open(a) as one, CassetteFile.open(b) as other:
        assert plain["takes"] == [[one.digest, other.digest]]
    assert load_rules(a).places("llm", "/v1") == (("body", "mark"),)
    assert load_rules(b).places("llm", "/v1") == ()
    assert [item.name for item in sorted(tmp_path.iterdir())] == ["take0.gpr", "take0.profile.json", "take1.gpr"]


def test_learning_again_grows_the_profile_and_counts_two_takes_once(tmp_path: Path) -> None:
    a, b, c = takes(tmp_path, "Pc3hZ9kQ", "x81TmA0v", "k0R8sWq2")
    learn(a, b)
    again = learn(a, b)
    assert (again.new, again.written, len(again.lesson.learned)) == ((), False, 2)
    third = learn(a, c)
    assert (third.new, third.written) == ((), True)
    assert [item.seen for item in load_profile(a).volatile] == [2, 2]
    everything = learn(a, b, everything=True)
    assert [format_place(item.at) for item in everything.new] == ["body.city"]
    assert len(load_profile(a).volatile) == 3


def test_a_dry_run_and_a_lesson_without_places_write_nothing(tmp_path: Path) -> None:
    a, b = takes(tmp_path, "Pc3hZ9kQ", "x81TmA0v")
    assert learn(a, b, dry_run=True).new
    a, b = takes(tmp_path / "same", "Pc3hZ9kQ", "Pc3hZ9kQ")
    assert not learn(a, b).written
    assert not list(tmp_path.rglob("*.json"))


def test_takes_that_cannot_teach_say_why(tmp_path: Path) -> None:
    (a,) = takes(tmp_path, "Pc3hZ9kQ")
    with pytest.raises(UsageError, match="the same recording"):
        learn(a, a)
    other = write(tmp_path / "other.gpr", cassette(ask(1, "GET", "/x", role="llm")))
    with pytest.raises(CouldNotCheck, match="no request and no message in common"):
        learn(a, other)
    (tmp_path / "take0.profile.json").write_text("{}")
    with pytest.raises(UsageError, match=r"take0\.profile\.json: version"):
        learn(a, other)


def test_a_profile_that_cannot_be_written_is_a_failure_and_leaves_nothing(tmp_path: Path) -> None:
    a, b = takes(tmp_path, "Pc3hZ9kQ", "x81TmA0v")
    scratch = tmp_path / f"take0.profile.json.{os.getpid()}.tmp"
    scratch.symlink_to(tmp_path / "none" / "there")
    with pytest.raises(DiskFailure, match=r"take0\.profile\.json cannot be written"):
        learn(a, b)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take0.gpr", "take1.gpr"]
