"""The command line as a person meets it: what it prints where, and what it exits with."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import cli
from dialogue import ask, cassette, chat
from filed import write
from wire import answering, dial, exchange, raw_server, run

from gp_replay.store import CassetteFile

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
TAPE = cassette(ask(1, "GET", "/x", answer=[(1, "recorded")], role="llm"), chat(2, "5 < hi", role="chat"))
FETCH = "import os,sys,urllib.request as u; print(u.urlopen(os.environ['GP_REPLAY_URL']+sys.argv[1]).read().decode())"


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return write(tmp_path / "a.gpr", TAPE)


def test_replay_serves_a_command_and_says_what_it_did(
    tape: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    receipt = tmp_path / "receipt.json"
    code, out, err = cli(
        capfd, "replay", tape, "--timing", "instant", "--receipt", receipt, "--", sys.executable, "-c", FETCH, "/llm/x"
    )
    assert (code, out) == (0, "recorded\n")
    assert err.startswith("http://127.0.0.1:")
    assert "served 1, missed 0, unplayed 1" in err
    plain = json.loads(receipt.read_text())
    assert (plain["exit_code"], plain["command_exit"], plain["served"], plain["unplayed"]) == (0, 0, ["a#1"], ["a#2"])
    with CassetteFile.open(tape) as file:
        assert plain["cassettes"][0]["digest"] == file.digest


def test_a_miss_exits_1_and_a_commands_own_code_comes_first(tape: Path, capfd: pytest.CaptureFixture[str]) -> None:
    quiet = "import os,urllib.request as u,urllib.error as e\ntry: u.urlopen(os.environ['GP_REPLAY_URL']+'/y')\nexcept e.HTTPError: pass\n"
    code, _, err = cli(capfd, "replay", tape, "--", sys.executable, "-c", quiet)
    assert code == 1
    assert "miss: GET /y: nothing was recorded at this path" in err
    assert cli(capfd, "replay", tape, "--", sys.executable, "-c", quiet + "raise SystemExit(7)")[0] == 7


def test_the_rule_a_miss_prints_makes_the_same_request_match(tape: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fetch = FETCH.replace("; print", "\ntry: print") + "\nexcept OSError: pass"
    command = ("replay", tape, "--timing", "instant", "--", sys.executable, "-c", fetch, "/llm/x?page=next")
    code, out, err = cli(capfd, *command)
    assert (code, out) == (1, "")
    lines = [line.removeprefix("  rule: ") for line in err.splitlines() if line.startswith("  rule: ")]
    tape.with_suffix(".toml").write_text("\n".join(lines))
    assert cli(capfd, *command)[:2] == (0, "recorded\n")


def test_a_replay_that_served_nothing_exits_4(tape: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = cli(capfd, "replay", tape, "--", sys.executable, "-c", "pass")
    assert code == 4
    assert "nothing was served" in err


def test_a_command_gets_urls_and_templates(tape: Path, capfd: pytest.CaptureFixture[str]) -> None:
    show = "import os; print(*(os.environ[n] for n in ('GP_REPLAY_URL','GP_REPLAY_LLM_URL','GP_REPLAY_CHAT_URL','OPENAI_BASE_URL')))"
    _, out, _ = cli(capfd, "replay", tape, "--env", "OPENAI_BASE_URL={llm}/v1", "--", sys.executable, "-c", show)
    root, llm, chat_url, base = out.split()
    assert (llm, chat_url, base) == (root + "/llm", root + "/chat", root + "/llm/v1")


def test_a_recorded_command_gets_the_variables_of_known_sdks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    show = "import os; print(*(os.environ[n] for n in ('OPENAI_BASE_URL','ANTHROPIC_BASE_URL','GP_REPLAY_URL')))"
    code, out, _ = cli(
        capfd, "record", "--upstream", "llm=https://api.openai.com", "--upstream", "claude=https://api.anthropic.com",
        "--out", tmp_path / "b", "--", sys.executable, "-c", show,
    )  # fmt: skip
    openai, claude, root = out.split()
    assert (code, openai, claude) == (4, root + "/llm/v1", root + "/claude")


def test_record_saves_what_a_command_did(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def service() -> tuple[int, str, str]:
        async with raw_server(answering(ANSWER)) as url:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gp_replay", "record", "--upstream", url, "--out", str(tmp_path / "b"), "--",
                sys.executable, "-c", FETCH, "/x",
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            out, err = await process.communicate()
            return process.returncode or 0, out.decode(), err.decode()

    code, out, err = run(service())
    assert (code, out) == (0, "ok\n"), err
    assert "recorded 1 exchanges" in err
    with CassetteFile.open(tmp_path / "b.gpr") as file:
        assert file.footer.exit_code == 0
        assert file.header.roles[0].name == "default"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_recording_with_a_saved_cassette(number: int, tmp_path: Path) -> None:
    async def main() -> tuple[int | None, str, str]:
        async with raw_server(answering(ANSWER)) as url:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gp_replay", "record", "--upstream", url, "--out", str(tmp_path / "b.gpr"),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            assert process.stdout is not None
            ours = (await process.stdout.readline()).decode().strip()
            assert (await exchange(ours, b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n")).endswith(b"ok")
            reader, writer = await dial(ours)  # somebody still connected must not keep it from ending
            process.send_signal(number)
            out, err = await process.communicate()
            await reader.read()
            writer.close()
            return process.returncode, out.decode(), err.decode()

    code, out, err = run(main())
    assert (code, out) == (0, ""), err
    assert "recorded 1 exchanges" in err
    assert "Traceback" not in err
    with CassetteFile.open(tmp_path / "b.gpr") as file:
        assert (len(file.footer.entries), file.footer.exit_code) == (1, None)


@pytest.mark.slow
def test_a_signal_ends_the_command_too(tape: Path) -> None:
    sleeper = "import time; print('there', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-m", "gp_replay", "replay", str(tape), "--", sys.executable, "-c", sleeper],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 143
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_replay_in_good_order(number: int, tape: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gp_replay", "replay", str(tape)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 4
    assert "nothing was served" in err
    assert "Traceback" not in err


USAGE = [
    (["replay", "{tape}", "--timing", "soon"], "timing 'soon'"),
    (["replay", "{tape}", "--only", "nobody"], "no cassette has a role 'nobody'"),
    (["replay", "{tape}", "--listen", "here"], "is not an address"),
    (["replay", "{tape}", "--env", "x"], "is not NAME=VALUE"),
    (["replay", "{tape}", "--env", "X={nobody}"], "there is no role 'nobody'"),
    (["replay", "{tape}", "--"], "no command behind --"),
    (["replay", "{tape}", "--", "no-such-program"], "cannot run 'no-such-program'"),
    (["record", "--upstream", "ftp://x", "--out", "{new}"], "is not a URL of an upstream"),
    (["record", "--upstream", "http://a", "--upstream", "http://b", "--out", "{new}"], "two upstreams"),
    (["record", "--upstream", "../x=http://a", "--out", "{new}"], "is no name for a role"),
    (["record", "--upstream", "http://a", "--out", "{tape}"], "exists"),
    (["record", "--upstream", "http://a", "--out", "{new}", "--mode", "never"], "mode 'never'"),
    (["record", "--upstream", "http://a", "--out", "{new}", "--host", "x"], "--host 'x'"),
    (["convert", "{tape}", "{new}.txt"], "cannot tell its form"),
    (["convert", "{tape}", "{tape}"], "onto itself"),
    (["show", "{tape}", "--stream", "9"], "stream 9"),
    (["show", "{tape}", "--json", "--stream", "1"], "--json shows everything"),
    (["show", "{tape}", "--max-bytes", "-1"], "--max-bytes"),
    (["replay", "{tape}", "--patience", "nan"], "patience nan"),
    (["replay", "{tape}", "--patience", "inf"], "patience inf"),
    (["replay", "{tape}", "--patience", "-1"], "patience -1"),
    (["replay", "{tape}", "--receipt", "/"], "receipt '/' names no file"),
    (["replay", "{tape}", "--listen", "nobody=127.0.0.1:0"], "there is no role 'nobody'"),
    (["record", "--upstream", "http://a", "--out", ""], "names no file"),
    (["record", "--upstream", "http://a", "--out", "{new}", "--listen", "here"], "is not an address"),
    (["record", "--upstream", "http://a", "--out", "{new}", "--redact", "perhaps"], "--redact 'perhaps'"),
    (["record", "--upstream", "http://a", "--out", "{new}", "--"], "no command behind --"),
    (["record", "--out", "{new}"], "Missing option"),
    (["demo", "--replay", "{new}", "--keep", "{new}"], "takes neither --keep nor --live-llm"),
    (["demo", "--replay", "{new}", "--live-llm", "http://a"], "takes neither --keep nor --live-llm"),
    (["replay"], "Missing argument"),
    (["replay", "{tape}", "--odd"], "No such option"),
    (["nonsense"], "No such command"),
]


@pytest.mark.parametrize(("arguments", "words"), USAGE, ids=[words for _, words in USAGE])
def test_what_cannot_be_meant_exits_2_and_says_what_is_wrong(
    arguments: list[str], words: str, tape: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    filled = [item.replace("{tape}", str(tape)).replace("{new}", str(tmp_path / "new")) for item in arguments]
    code, out, err = cli(capfd, *filled)
    assert (code, out if "replay" not in filled else "") == (2, "")
    assert words in err


def test_a_cassette_that_cannot_be_read_exits_3(tape: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = tape.read_bytes()
    bad = {
        "none.gpr": None,
        "corrupt.gpr": data.replace(b"recorded", b"RECORDED", 1),
        "cut.gpr": data[:-30],
        "new.gpr": data[:9] + b"\x09" + data[10:],
        "left.gpr.part": data[:-30],
        "odd.gpr": b"not a cassette",
    }
    for name, content in bad.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        for command in (["replay"], ["show"], ["diff", tape]):
            code, _, err = cli(capfd, *command, tmp_path / name)
            assert code == 3, (name, command)
            assert err.startswith("error: ")
            assert name in err
            assert "hint: " in err


def test_a_taken_port_exits_4_and_leaves_no_file(tape: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for command in (["replay", tape], ["record", "--upstream", "http://127.0.0.1:9", "--out", tmp_path / "new"]):
            code, _, err = cli(capfd, *command, "--listen", address)
            assert code == 4
            assert f"{address} is in use" in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.gpr"]


def test_a_host_that_no_name_can_have_exits_4(tape: Path) -> None:
    listen = f"{'x' * 300}:0"
    command = [sys.executable, "-m", "gp_replay", "replay", str(tape), "--listen", listen]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert f"cannot listen on {listen}" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_written_exits_4(tape: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ask_for = ["--", sys.executable, "-c", FETCH, "/llm/x"]
    code, _, err = cli(capfd, "replay", tape, "--receipt", tmp_path / "none" / "r.json", *ask_for)
    assert code == 4
    assert "the receipt cannot be written" in err
    code, _, err = cli(capfd, "convert", tape, tmp_path / "none" / "a.json")
    assert code == 4
    assert "cannot be written" in err


def test_a_disk_that_fails_while_recording_exits_4_and_the_command_never_notices(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk."""
    limit = "import resource,runpy,sys; resource.setrlimit(resource.RLIMIT_FSIZE,(600,600)); sys.argv=['gp-replay',*sys.argv[1:]]; runpy.run_module('gp_replay',run_name='__main__')"

    async def service() -> tuple[int | None, str, str]:
        async with raw_server(answering(ANSWER)) as url:
            fetches = "import os,urllib.request as u\nfor n in range(20): print(u.urlopen(os.environ['GP_REPLAY_URL']+f'/{n}').read().decode())"
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", limit, "record", "--upstream", url, "--out", str(tmp_path / "b"), "--",
                sys.executable, "-c", fetches, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            out, err = await process.communicate()
            return process.returncode, out.decode(), err.decode()

    code, out, err = run(service())
    assert out == "ok\n" * 20, err
    assert code == 4
    assert "File too large" in err
    assert "Traceback" not in err


def test_an_unreachable_upstream_alone_exits_4_and_nothing_recorded_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    quiet = "import os,urllib.request as u,urllib.error as e\ntry: u.urlopen(os.environ['GP_REPLAY_URL'])\nexcept e.HTTPError: pass\n"
    for number, (script, words) in enumerate(((quiet, "connection refused"), ("pass", "no client came"))):
        out = tmp_path / f"{number}.gpr"
        code, _, err = cli(
            capfd, "record", "--upstream", "http://127.0.0.1:9", "--out", out, "--", sys.executable, "-c", script
        )
        assert code == 4
        assert words in err


def test_the_demo_has_nothing_to_repeat_where_nothing_was_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli(capfd, "demo", "--replay", tmp_path)[0] == 3
    assert cli(capfd, "list", tmp_path / "none")[0] == 3


def test_redaction_off_is_warned_of_when_recording_and_ever_after(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    from gp_replay.core.document import ordered_events
    from gp_replay.core.index import MemoryCassette

    raw = write(tmp_path / "raw.gpr", MemoryCassette(replace(TAPE.header, redaction=("off",)), ordered_events(TAPE)))
    for command in (["show", raw], ["diff", raw, raw], ["convert", raw, tmp_path / "raw.json"]):
        assert "redaction off" in cli(capfd, *command)[2]
    assert "redaction" in cli(capfd, "list", tmp_path)[1]


@pytest.mark.parametrize("command", ["record", "replay", "list", "show", "diff", "learn", "convert", "repair", "demo"])
def test_help_teaches(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = cli(capfd, command, "--help")
    assert code == 0
    assert f"Usage: gp-replay {command}" in out
    assert "Options:" in out


def test_version_and_python_m(capfd: pytest.CaptureFixture[str]) -> None:
    from gp_replay import __version__

    assert cli(capfd, "--version")[1] == f"gp-replay {__version__}\n"
    done = subprocess.run([sys.executable, "-m", "gp_replay", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"gp-replay {__version__}\n"
