"""Runs the command line in this process, as a person would in a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from gp_replay.cli import main


def cli(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Runs a command; its exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    assert "Traceback" not in err, err
    code = left.value.code
    return (code if isinstance(code, int) else 0), out, err
