"""The plugin in small projects of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from dialogue import ask, cassette
from filed import write

TEST = """
import urllib.error
import urllib.request

import pytest

def fetch(url):
    try:
        return urllib.request.urlopen(url).read().decode()
    except urllib.error.HTTPError as error:
        return error.code
"""
PLUGIN_IS_ON = "-pgp_replay.pytest_plugin"


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    write(
        Path(pytester.path) / "tapes" / "a.gpr",
        cassette(ask(1, "GET", "/x", answer=[(1, "one")]), ask(2, "GET", "/y", at=5)),
    )
    return pytester


def outcome(project: pytest.Pytester, body: str, **expected: int) -> str:
    project.makepyfile(TEST + body)
    result = project.runpytest_inprocess("-p", "no:cacheprovider", "-q")
    result.assert_outcomes(**expected)
    return result.stdout.str()


def test_a_test_gets_its_replay(project: pytest.Pytester) -> None:
    outcome(
        project,
        """
@pytest.mark.gp_replay("tapes/a.gpr")
def test_one(gp_replay):
    assert fetch(gp_replay.url + "/x") == "one"

@pytest.mark.gp_replay("tapes")
def test_each_has_its_own(gp_replay):
    assert fetch(gp_replay.urls["default"] + "/x") == "one"
""",
        passed=2,
    )


def test_a_swallowed_miss_fails_the_test_and_is_explained(project: pytest.Pytester) -> None:
    text = outcome(
        project,
        """
@pytest.mark.gp_replay("tapes/a.gpr")
def test_one(gp_replay):
    fetch(gp_replay.url + "/other")
""",
        passed=1,
        errors=1,
    )
    assert "nothing was recorded at this path" in text


@pytest.mark.parametrize(
    ("marker", "body", "words"),
    [
        ('"tapes/a.gpr"', "pass", "nothing was served"),
        ('"tapes/a.gpr", unplayed="fail"', 'fetch(gp_replay.url + "/x")', "never asked for: a#2"),
        ('"tapes/none.gpr"', "pass", "no cassette there"),
        ('"tapes/a.gpr", colour="red"', "pass", "unknown option 'colour'"),
        ('"tapes/a.gpr", unplayed="maybe"', "pass", "unplayed is 'ignore' or 'fail'"),
        ("", "pass", "needs @pytest.mark.gp_replay"),
    ],
)
def test_what_is_wrong_is_said(marker: str, body: str, words: str, project: pytest.Pytester) -> None:
    project.makepyfile(TEST + f"\n@pytest.mark.gp_replay({marker})\ndef test_one(gp_replay):\n    {body}\n")
    result = project.runpytest_inprocess("-p", "no:cacheprovider", "-q")
    assert result.ret == 1
    assert words in result.stdout.str()


def test_importing_the_plugin_loads_nothing_heavy(project: pytest.Pytester) -> None:
    result = project.run(
        "python3",
        "-c",
        "import sys; import gp_replay.pytest_plugin; print(sorted({'typer', 'websockets', 'asyncio', 'msgpack'} & set(sys.modules)))",
    )
    assert "msgpack" not in result.stdout.str()
    assert "websockets" not in result.stdout.str()
