"""What commands print with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from dialogue import ask, cassette
from filed import write

from gp_replay.console import leave, print_data, say, shout


def test_data_goes_to_stdout_and_everything_else_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    print_data(["a", "b"])
    say("c")
    shout("d")  # no terminal here, so no bold
    assert capfd.readouterr() == ("a\nb\n", "c\nd\n")


def test_only_a_code_that_is_not_0_ends_a_command() -> None:
    leave(0)
    with pytest.raises(typer.Exit) as left:
        leave(3)
    assert left.value.exit_code == 3


def test_a_reader_who_leaves_early_is_no_error(tmp_path: Path) -> None:
    tape = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", answer=[(1, "recorded")])))
    shell = f"{sys.executable} -m gp_replay show {tape} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0
    assert done.stderr == ""
