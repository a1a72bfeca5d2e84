"""`gp-replay check`: what it prints where, and what it exits with."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import cli
from dialogue import ask, cassette, chat
from filed import write

ROOT = Path(__file__).resolve().parents[1]
ONE_USER, TWO_USERS = ROOT / "cassettes" / "agent-one-user.gpr", ROOT / "cassettes" / "agent-two-users.gpr"
WELCOME = '5 < {"type":"connection_established","mode":"main","connection_id":"main_1"}'
EARLY = cassette(chat(1, '3 > {"type":"ping"}', WELCOME, '9 < {"type":"pong"}', role="chat"))


@pytest.fixture
def early(tmp_path: Path) -> Path:
    return write(tmp_path / "early.gpr", EARLY)


def test_recorded_conversations_keep_the_golden_path(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = cli(capfd, "check", ONE_USER, TWO_USERS)
    assert code == 0
    assert [line.partition(": ")[2] for line in out.splitlines()] == [
        "1 connection, 59 messages: fine",
        "2 connections, 118 messages: fine",
    ]
    assert err == (
        "contract golden-path kept; checked 3 connections and 177 messages in 2 cassettes: 0 errors, 0 warnings\n"
    )


def test_a_broken_contract_exits_1_and_says_where(
    early: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = cli(capfd, "check", early, "--junit", tmp_path / "out.xml")
    assert code == 1
    assert "  error HS-2: connection 1, message 0, 3.000 ms" in out.splitlines()
    (suite,) = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert suite.get("failures") == "1"
    code, out, _ = cli(capfd, "check", early, "--json")
    assert code == 1
    (finding,) = json.loads(out)["cassettes"][0]["findings"]
    assert (finding["rule"], finding["message"], finding["offset_us"]) == ("HS-2", 0, 3_000)
    assert cli(capfd, "check", tmp_path, "--junit", tmp_path / "none" / "out.xml")[0] == 4


def test_limits_can_be_set(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = cli(capfd, "check", ONE_USER, "--limit", "gap=0.5", "--limit", "run=1.5")
    assert code == 1
    assert "limit.gap" in out
    assert "limit.run" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--contract", "golden-pth"), "error: there is no contract 'golden-pth'\n\nhint: known are golden-path; "),
        (("--limit", "gpa=1"), "error: golden-path: there is no limit 'gpa'\n\nhint: its limits: connect, "),
        (("--limit", "gap"), "error: --limit 'gap' is not NAME=SECONDS"),
        (("--limit", "gap=-1"), "error: --limit 'gap=-1' is not NAME=SECONDS"),
    ],
)
def test_what_cannot_be_meant_exits_2(options: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = cli(capfd, "check", ONE_USER, *options)
    assert (code, out) == (2, "")
    assert err.startswith(said)


def test_a_contract_of_ones_own(early: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\n[events.connection_established]\nerror = ["colour"]\n')
    code, out, err = cli(capfd, "check", early, "--contract", own)
    assert code == 1
    assert "connection_established.fields: connection 1, message 1, 5.000 ms, colour" in out
    assert err.startswith("contract own broken; ")
    for text, said in (
        ("name = [", "own.toml: "),
        ("", "own.toml: name is missing"),
        ('name="x"\na=1', "a is not known"),
    ):
        own.write_text(text)
        code, _, err = cli(capfd, "check", early, "--contract", own)
        assert code == 2
        assert said in err
    assert cli(capfd, "check", early, "--contract", tmp_path)[0] == 2


def test_what_cannot_be_read_exits_3_and_the_rest_is_checked(
    early: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.gpr").write_bytes(b"x" * 100)
    code, out, err = cli(capfd, "check", tmp_path)
    assert code == 3
    assert "HS-2" in out
    assert "bad.gpr" in out
    assert "hint: " in err
    assert cli(capfd, "check", tmp_path / "none.gpr")[0] == 3


def test_nothing_to_check_exits_4(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "http.gpr", cassette(ask(1, "GET", "/x"), chat(2, '5 < {"type":"session.created"}')))
    code, out, err = cli(capfd, "check", tmp_path)
    assert code == 4
    assert "nothing to check" in out
    assert "could not be checked" in err
