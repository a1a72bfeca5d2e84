"""The commands that look after cassettes: what they print where, and what they exit with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import cli
from dialogue import ask, cassette, chat
from filed import write

from gp_replay.store import CassetteFile

TAPE = cassette(ask(1, "GET", "/x", answer=[(1, "recorded")], role="llm"), chat(2, "5 < hi", role="chat"))


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return write(tmp_path / "a.gpr", TAPE)


def test_list_show_and_diff(tape: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = cli(capfd, "list", tmp_path)
    assert code == 0
    assert out.splitlines()[0].split()[:3] == ["NAME", "REVISION", "AGE"]
    assert json.loads(cli(capfd, "list", tmp_path, "--json")[1])[0]["roles"] == ["llm", "chat"]
    (tmp_path / "odd.gpr").write_bytes(b"x")
    assert cli(capfd, "list", tmp_path)[0] == 3
    first, again = cli(capfd, "show", tape)[1], cli(capfd, "show", tape)[1]
    assert first == again
    assert "GET /x" in first
    assert "recorded" not in cli(capfd, "show", tape, "--stream", "2")[1].split("stream")[-1]
    assert "left out" in cli(capfd, "show", tape, "--max-bytes", "2")[1]
    assert json.loads(cli(capfd, "show", tape, "--json")[1])["streams"][0]["role"] == "llm"
    assert cli(capfd, "diff", tape, tape)[0] == 0
    other = write(tmp_path / "b.gpr", cassette(ask(1, "GET", "/x", answer=[(1, "rewritten")], role="llm")))
    code, out, _ = cli(capfd, "diff", tape, other)
    assert code == 1
    assert "rewritten" in out
    assert json.loads(cli(capfd, "diff", tape, other, "--json")[1])["same"] is False


def test_convert_there_and_back_and_repair(tape: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for suffix in ("yaml", "json"):
        document, back = tmp_path / f"a.{suffix}", tmp_path / f"back-{suffix}.gpr"
        assert cli(capfd, "convert", tape, document)[0] == 0
        assert cli(capfd, "convert", document, back)[0] == 0
        assert cli(capfd, "convert", document, back)[0] == 2
        assert cli(capfd, "convert", document, back, "--force")[0] == 0
        assert cli(capfd, "diff", tape, back)[0] == 0
        with CassetteFile.open(tape) as one, CassetteFile.open(back) as other:
            assert one.header == other.header
            assert [one.events(n) for n in (1, 2)] == [other.events(n) for n in (1, 2)]
    (tmp_path / "cut.gpr.part").write_bytes(tape.read_bytes()[:-60])
    code, out, err = cli(capfd, "repair", tmp_path / "cut.gpr.part")
    assert (code, out.strip()) == (0, str(tmp_path / "cut.gpr"))
    assert "kept" in err
    assert cli(capfd, "repair", tmp_path / "cut.gpr.part")[0] == 2
    assert cli(capfd, "repair", tmp_path / "none.gpr.part")[0] == 3
    assert cli(capfd, "record", "--upstream", "http://a", "--out", tmp_path / "cut.gpr", "--mode", "all")[0] == 3


@pytest.mark.parametrize(
    ("name", "content"), [("a.yaml", "x: ["), ("a.json", "{}"), ("a.yml", "!!python/object:os.system {}")]
)
def test_a_document_that_is_none_exits_3(
    name: str, content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content)
    code, _, err = cli(capfd, "convert", tmp_path / name, tmp_path / "b.gpr")
    assert code == 3
    assert name in err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_learn_says_what_it_learned_and_what_not(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    a, b = (
        write(tmp_path / f"{name}.gpr", cassette(ask(1, "POST", "/v1", f'{{"mark":"{value}","city":"{city}"}}')))
        for name, value, city in (("a", "Pc3hZ9kQ", "Rome"), ("b", "x81TmA0v", "Oslo"))
    )
    code, out, err = cli(capfd, "learn", a, b, "--dry-run")
    assert code == 0
    assert out.splitlines() == [
        "body.mark  default /v1",
        '  learned: "Pc3hZ9kQ" and "x81TmA0v"',
        "body.city  default /v1",
        '  not learned: "Rome" and "Oslo" (content: words may decide what is answered)',
    ]
    assert "nothing was written" in err
    code, out, err = cli(capfd, "learn", a, b, "--json")
    assert (code, json.loads(out)["left"][0]["reason"]) == (0, "content")
    assert f"{tmp_path / 'a.profile.json'} holds 1" in err
    assert cli(capfd, "learn", a, b, "--all")[1].splitlines()[1].startswith("  known: ")
    assert [item["at"] for item in json.loads((tmp_path / "a.profile.json").read_text())["volatile"]] == [
        "body.city",
        "body.mark",
    ]


def test_learn_from_takes_that_have_nothing_in_common_exits_4(
    tape: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "b.gpr", cassette(ask(1, "GET", "/y", role="llm")))
    code, out, err = cli(capfd, "learn", tape, other)
    assert (code, out) == (4, "")
    assert "in common" in err
    assert cli(capfd, "learn", tape, tape)[0] == 2
    assert cli(capfd, "learn", tape, tmp_path / "none.gpr")[0] == 3
    assert not list(tmp_path.glob("*.json"))
