"""gp-replay run as a person meets it: flags, report, exit codes, signals."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from command_line import cli
from dialogue import ask, cassette
from filed import write
from process_life import Lives, program, use_programs

FETCH = "import os,urllib.request as u; print(u.urlopen(os.environ['GP_REPLAY_URL']+'/x').read().decode())"
COMMAND = ("--", sys.executable, "-c", FETCH)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a cassette, and a docker that is dead."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    use_programs(tmp_path / "bin", monkeypatch)
    program(tmp_path / "bin" / "docker", "echo dead >&2", "exit 1")
    (tmp_path / "cassettes").mkdir()
    write(tmp_path / "cassettes" / "a.gpr", cassette(ask(1, "GET", "/x", answer=[(1, "recorded")], role="chat")))
    (tmp_path / "gp-replay.toml").write_text('[environments.docker]\nhosts.chat = "http://127.0.0.1:9"\n')
    return tmp_path


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    lives = Lives(tmp_path / "lives")
    yield lives
    lives.close()


def test_the_emergency_path_needs_no_docker_and_no_settings(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "gp-replay.toml").unlink()
    code, out, err = cli(capfd, "run", "--no-docker", *COMMAND)
    assert (code, out) == (0, "recorded\n")
    assert "chat: cassette (a): 1 exchanges, 0 connections, 0 messages" in err
    assert err.endswith("passed against cassette (--no-docker): 1 exchanges, 0 connections, 0 messages\n")


def test_no_docker_and_no_fallback_is_4_with_the_flag_and_the_command_is_not_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code, out, err = cli(capfd, "run", *COMMAND)
    assert (code, out) == (4, "")
    assert "could not check (--source auto): no docker: docker info: dead" in err
    assert err.endswith("\n\nhint: start it, or allow another source: --fallback staging,cassette\n")


def test_json_is_all_of_stdout_and_junit_is_in_its_file(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = cli(capfd, "run", "--fallback", "cassette", "--json", "--junit", project / "j.xml", *COMMAND)
    plain = json.loads(out)
    assert (code, plain["verdict"], plain["source"], plain["exit_code"]) == (0, "passed", "cassette", 0)
    assert plain["passed_over"] == [{"source": "docker", "problem": "docker info: dead"}]
    assert "recorded\n" in err
    suite = ElementTree.parse(project / "j.xml").getroot()[0]
    assert (suite.get("errors"), suite.get("failures")) == ("0", "0")


def test_json_and_junit_are_written_where_nothing_could_be_checked_too(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = cli(capfd, "run", "--json", "--junit", project / "j.xml", *COMMAND)
    assert (code, json.loads(out)["verdict"]) == (4, "could not check")
    assert ElementTree.parse(project / "j.xml").getroot()[0].get("errors") == "1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--no-docker"], "no command to run"),
        (["--no-docker", "--"], "no command behind --"),
        (["--source", "cassette", "--real-services", "--", "true"], "--source cassette contradicts --real-services"),
        (["--source", "prod", "--", "true"], "--source 'prod'"),
        (["--fallback", "staging,prod", "--", "true"], "--fallback 'prod'"),
        (["--no-docker", "--timeout", "0", "--", "true"], "--timeout 0"),
        (["--no-docker", "--timeout", "nan", "--", "true"], "--timeout nan"),
        (["--no-docker", "--owners", "all", "--", "true"], "--owners 'all'"),
        (["--no-docker", "--clock", "now", "--", "true"], "--clock 'now'"),
        (["--no-docker", "--timing", "fast", "--", "true"], "timing"),
        (["--no-docker", "--env", "X", "--", "true"], "--env 'X'"),
        (["--no-docker", "--env", "X={none}", "--", "true"], "there is no role 'none'"),
        (["--no-docker", "--listen", "here", "--", "true"], "is not an address"),
        (["--no-docker", "--", "no-such-program"], "cannot run 'no-such-program'"),
    ],
)
def test_what_cannot_be_meant_exits_2(arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = cli(capfd, "run", *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_settings_that_are_malformed_exit_2_in_one_line(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "gp-replay.toml").write_text('[environments.docker]\nhosts.chat = "ftp://a"')
    code, _, err = cli(capfd, "run", *COMMAND)
    assert code == 2
    assert "gp-replay.toml: environments.docker.hosts.chat: 'ftp://a' is not a URL of an upstream\n" in err


def test_a_report_that_cannot_be_written_exits_4(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = cli(capfd, "run", "--no-docker", "--junit", project / "none" / "j.xml", *COMMAND)
    assert code == 4
    assert "the report cannot be written" in err


def on_a_terminal(**environment: str) -> bytes:
    """What a run that falls back prints where stderr is a terminal."""
    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-m", "gp_replay", "run", "--fallback", "cassette", "--timing", "instant", *COMMAND]
    subprocess.run(arguments, stderr=theirs, stdout=subprocess.DEVNULL, check=True, env={**os.environ, **environment})
    os.close(theirs)
    said = b""
    try:
        while data := os.read(ours, 65536):
            said += data
    except OSError:  # Linux says so that the other side has closed
        pass
    os.close(ours)
    return said


@pytest.mark.slow
def test_falling_back_is_bold_on_a_terminal_and_no_color_is_kept() -> None:
    assert b"\x1b[1mfalling back to cassette: --fallback allows it\x1b[0m" in on_a_terminal()
    plain = on_a_terminal(NO_COLOR="1")
    assert b"falling back to cassette" in plain
    assert b"\x1b[" not in plain


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_and_the_report_says_so(number: int, lives: Lives, project: Path) -> None:
    arguments: list[Any] = [sys.executable, "-m", "gp_replay", "run", "--no-docker", "--json", "--"]
    process = subprocess.Popen(
        [*arguments, "sh", "-c", f"trap 'exit 1' INT TERM; {lives.line}; sleep 1000 & echo there; wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    while b"there" not in process.stderr.readline():
        pass
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert b"Traceback" not in err
    plain = json.loads(out)
    assert (plain["verdict"], plain["interrupted"]) == ("could not check", True)
    assert lives.all_ended()


@pytest.mark.parametrize(
    "command",
    [
        ["record", "--upstream", "chat=wss://api.staging.netrasystems.ai/ws", "--out", "new"],
        ["drive", "cassettes/a.gpr", "--against", "chat=wss://api.staging.netrasystems.ai/ws", "--out", "new"],
    ],
)
def test_recording_from_a_deprecated_host_exits_2_and_names_what_to_use(
    command: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = cli(capfd, *command)
    assert code == 2
    assert "api.staging.netrasystems.ai is deprecated" in err
    assert "hint: use api-staging.netrasystems.ai" in err
