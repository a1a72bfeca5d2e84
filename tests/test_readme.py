"""What the README shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gp_replay.core.rules import Rules

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
RULES = [block for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "[[" in block]
CONSOLE = re.findall(r"```console\n\$ (.*?)\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", [block for block in PYTHON if "import pytest" not in block])
def test_python_blocks_run(block: str) -> None:
    done = subprocess.run([sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [block for block in PYTHON if "import pytest" in block])
def test_the_pytest_block_serves_what_it_names(block: str, pytester: pytest.Pytester) -> None:
    """The example asks nothing, so the plugin must say so; its assertions must hold."""
    (Path(pytester.path) / "cassettes").symlink_to(ROOT / "cassettes")
    pytester.makepyfile(block)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q")
    result.assert_outcomes(passed=1, errors=1)
    assert "nothing was served" in result.stdout.str()


@pytest.mark.parametrize(("command", "expected"), CONSOLE)
def test_help_is_what_the_readme_says(command: str, expected: str) -> None:
    arguments = [sys.executable, "-m", "gp_replay", *command.split()[1:]]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"})
    assert done.stdout == expected


@pytest.mark.parametrize("block", RULES)
def test_rules_are_such(block: str) -> None:
    rules = Rules.from_plain(tomllib.loads(block), source="README.md")
    assert rules.volatile or rules.literal or rules.repeat


def test_the_two_commands_are_the_ones_ci_runs() -> None:
    assert "pip install -q . && .venv/bin/gp-replay demo" in README
    assert "pip install -q -e '.[test]' && .venv/bin/pytest" in README
