"""The command line where a cassette and a live service answer together: what it prints and what it exits with."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from command_line import cli
from dialogue import ask, cassette
from filed import write

from gp_replay.store import CassetteFile

FETCH = "import os,sys,urllib.request as u\nfor path in sys.argv[1:]: print(u.urlopen(os.environ['GP_REPLAY_URL']+path).read().decode())"


class Live(BaseHTTPRequestHandler):
    """Says ``live`` to everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"live")

    def log_message(self, *words: object) -> None:
        """Says nothing on stderr."""


@pytest.fixture
def upstream() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Live) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def fetch(*paths: str) -> tuple[str, ...]:
    return "--", sys.executable, "-c", FETCH, *paths


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", answer=[(1, "recorded")], role="llm")))


def test_replay_sends_misses_live_only_when_told(
    tape: Path, upstream: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    receipt = tmp_path / "r.json"
    options = ("--on-miss", "live", "--upstream", f"llm={upstream}", "--receipt", receipt)
    code, out, err = cli(capfd, "replay", tape, *options, *fetch("/x", "/new"))
    assert (code, out) == (0, "recorded\nlive\n")
    assert f"live: GET /new went to {upstream}\n" in err
    assert "served 1, missed 0, unplayed 0, answered live 1" in err
    assert json.loads(receipt.read_text())["source"] == "mixed"
    code, _, err = cli(capfd, "replay", tape, "--upstream", f"llm={upstream}", *fetch("/x"))
    assert code == 2
    assert "hint: --on-miss live" in err


def test_record_adds_what_is_new_and_says_what_it_did(
    upstream: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "b.gpr"
    record = ("record", "--mode", "new-episodes", "--upstream", f"llm={upstream}", "--out", path)
    code, out, err = cli(capfd, *record, *fetch("/x"))
    assert (code, out) == (0, "live\n")
    assert f"recorded 1 exchanges and connections into {path}" in err
    code, out, err = cli(capfd, *record, *fetch("/x", "/new"))
    assert (code, out) == (0, "live\nlive\n")
    assert f"served 1, recorded 1 exchanges and connections into {path} (source: mixed)" in err
    before = path.read_bytes()
    code, out, err = cli(capfd, *record, *fetch("/new", "/x"))
    assert (code, out) == (0, "live\nlive\n")
    assert f"served 2, recorded nothing new, {path} is as it was (source: cassette)" in err
    assert path.read_bytes() == before
    with CassetteFile.open(path) as file:
        assert (file.header.revision, len(file.footer.entries)) == (2, 2)


def test_a_request_that_nobody_could_answer_exits_1(
    tape: Path, upstream: str, capfd: pytest.CaptureFixture[str]
) -> None:
    swallowed = "import os,urllib.request as u,urllib.error as e\nfor path in ('/llm/x','/llm/new'):\n try: u.urlopen(os.environ['GP_REPLAY_URL']+path)\n except e.HTTPError: pass\n"
    record = ("record", "--mode", "new-episodes", "--upstream", f"chat={upstream}", "--out", tape)
    code, _, err = cli(capfd, *record, "--", sys.executable, "-c", swallowed)
    assert code == 1
    assert "live: GET /new stays here: no upstream is known for its role" in err
    assert "served 1, recorded nothing new" in err


def test_a_run_nobody_came_to_exits_4(tape: Path, upstream: str, capfd: pytest.CaptureFixture[str]) -> None:
    record = ("record", "--mode", "new-episodes", "--upstream", f"llm={upstream}", "--out", tape)
    code, _, err = cli(capfd, *record, "--", sys.executable, "-c", "pass")
    assert code == 4
    assert "no client came" in err
