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


def test_a_miss_in_a_namespace_fails_the_test_and_what_one_played_was_asked_for(project: pytest.Pytester) -> None:
    text = outcome(
        project,
        """
@pytest.mark.gp_replay("tapes/a.gpr")
def test_miss(gp_replay):
    fetch(gp_replay.url + "/x")
    fetch(gp_replay.create("n").url + "/other")

@pytest.mark.gp_replay("tapes/a.gpr", unplayed="fail")
def test_all(gp_replay):
    fetch(gp_replay.url + "/x")
    fetch(gp_replay.create("n").url + "/y")
""",
        passed=2,
        errors=1,
    )
    assert "~n: miss: GET /other" in text


@pytest.mark.parametrize("path", ["/moved", "/~/moved"])
def test_a_client_that_follows_absolute_paths_stays_with_its_own_replay(project: pytest.Pytester, path: str) -> None:
    there = (b"Location", b"/next"), (b"Content-Length", b"0")
    write(
        Path(project.path) / "tapes" / "b.gpr",
        cassette(
            ask(1, "GET", path, status=302, answer=[(1, "")], answer_headers=there),
            ask(2, "GET", "/next", at=5, answer=[(1, "arrived")]),
        ),
    )
    outcome(
        project,
        f"""
from urllib.parse import urljoin

@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.gp_replay("tapes/b.gpr", unplayed="fail")
def test_moved(gp_replay, number):
    assert fetch(urljoin(gp_replay.urls["default"], "{path}")) == "arrived"
""",
        passed=2,
    )


@pytest.mark.slow
def test_tests_in_parallel_processes_do_not_take_each_others_recordings(project: pytest.Pytester) -> None:
    project.makepyfile(
        TEST
        + """
@pytest.mark.parametrize("number", range(20))
@pytest.mark.gp_replay("tapes/a.gpr", unplayed="fail")
def test_one(gp_replay, number, worker_id):
    assert worker_id in ("gw0", "gw1")
    assert fetch(gp_replay.url + "/x") == "one"
    assert fetch(gp_replay.create("n").url + "/x") == "one"
    fetch(gp_replay.url + "/y")
"""
    )
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "-q", "-n", "2")
    result.assert_outcomes(passed=20)


def test_faults_are_an_option_and_one_that_never_happened_fails_the_test(project: pytest.Pytester) -> None:
    text = outcome(
        project,
        """
@pytest.mark.gp_replay("tapes/a.gpr", faults=["http=429#1"], edge="cloud-run")
def test_retry(gp_replay):
    assert [fetch(gp_replay.url + "/x") for _ in range(2)] == [429, "one"]

@pytest.mark.gp_replay("tapes/a.gpr", faults=["http=429#2"])
def test_no_retry(gp_replay):
    assert fetch(gp_replay.url + "/x") == "one"
""",
        passed=2,
        errors=1,
    )
    assert "never happened: http=429#2" in text
