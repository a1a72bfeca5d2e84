"""Rules beside a cassette, and the variables of a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gp_replay.core.canonical import request_form
from gp_replay.core.model import RequestHead, Side
from gp_replay.core.routing import parse_upstream
from gp_replay.core.rules import Rules
from gp_replay.errors import UsageError
from gp_replay.settings import (
    command_variables,
    load_profile,
    load_redaction,
    load_rules,
    own_rules,
    parse_variable,
    profile_path,
)


def test_rules_stand_beside_the_cassette_or_there_are_none(tmp_path: Path) -> None:
    assert load_rules(tmp_path / "a.gpr").volatile == ()
    (tmp_path / "a.toml").write_text('[[volatile]]\nat = "body.x"\n')
    assert len(load_rules(tmp_path / "a.gpr").volatile) == 1


@pytest.mark.parametrize(
    "text", ["[[volatile]", "x = 1", "[[volatile]]\nat = 5", '[[volatile]]\nat = "odd place"', "\xff"]
)
def test_rules_that_are_none_name_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"a\.toml"):
        load_rules(tmp_path / "a.gpr")


PROFILE = {
    "version": 1,
    "takes": [["1", "2"]],
    "volatile": [{"at": "body.x", "role": "", "path": "", "seen": 1, "examples": ["a", "b"]}],
}


def test_what_was_learned_is_read_beside_the_rules_of_a_person(tmp_path: Path) -> None:
    (tmp_path / "a.profile.json").write_text(json.dumps(PROFILE))
    learned = load_rules(tmp_path / "a.gpr")
    assert learned.places("llm", "/v1") == (("body", "x"),)
    assert load_profile(tmp_path / "a.gpr").takes == (("1", "2"),)
    assert own_rules(tmp_path / "a.gpr") == Rules()
    (tmp_path / "a.toml").write_text('[[literal]]\nat = "body.x"\n')
    both = load_rules(tmp_path / "a.gpr")
    assert both.fingerprint != learned.fingerprint
    head = RequestHead(
        at_us=0, stream=1, side=Side.CLIENT, method=b"POST", target=b"/v1", version=b"HTTP/1.1", headers=()
    )
    one, other = (b'{"x":"Pc3hZ9kQ"}', b'{"x":"x81TmA0v"}')
    for rules, same in ((Rules(), False), (learned, True), (both, False)):
        forms = [request_form(head, body, role="llm", rules=rules).digest for body in (one, other)]
        assert (forms[0] == forms[1]) is same


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "line 1"),
        ("\xff", "UTF-8"),
        ("[]", "no JSON object"),
        ('{"version":1}', "takes"),
        ("[" * 9999, ""),
    ],
)
def test_a_profile_that_is_none_names_the_file_and_the_problem(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.profile.json").write_bytes(text.encode("latin-1"))
    for load in (load_rules, load_profile):
        with pytest.raises(UsageError, match=rf"a\.profile\.json: .*{problem}"):
            load(tmp_path / "a.gpr")


def test_a_profile_stands_beside_its_cassette() -> None:
    assert profile_path(Path("x/chat.v2.gpr")) == Path("x/chat.v2.profile.json")


def test_known_upstreams_bring_the_variables_of_their_sdks() -> None:
    upstreams = [parse_upstream("llm=https://api.openai.com/v1"), parse_upstream("claude=https://api.anthropic.com")]
    urls = {"llm": "http://h/llm", "claude": "http://h/claude"}
    variables = command_variables(urls, root="http://h", upstreams=upstreams, extra=[("X", "{claude}/v1 {url}")])
    assert variables == {
        "GP_REPLAY_URL": "http://h",
        "GP_REPLAY_LLM_URL": "http://h/llm",
        "GP_REPLAY_CLAUDE_URL": "http://h/claude",
        "OPENAI_BASE_URL": "http://h/llm",
        "ANTHROPIC_BASE_URL": "http://h/claude",
        "X": "http://h/claude/v1 http://h",
    }


@pytest.mark.parametrize("text", ["", "X", "=x", "1X=y", "A-B=c"])
def test_what_is_no_variable_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_variable(text)


def test_a_project_adds_what_is_secret_there(tmp_path: Path) -> None:
    assert load_redaction(tmp_path).names == ("built-in",)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.gp-replay.redact]\nfields = ["badge"]\npatterns = ["EMP-[0-9]{6}"]\n'
    )
    rules = load_redaction(tmp_path, literals=(b"hunter2hunter2",))
    assert (rules.fields, rules.patterns, rules.literals) == (("badge",), ("EMP-[0-9]{6}",), (b"hunter2hunter2",))
    (tmp_path / "gp-replay.toml").write_text('[redact]\nheaders = ["X-Internal"]\n')
    assert load_redaction(tmp_path).headers == frozenset({b"x-internal"})


@pytest.mark.parametrize(
    "text", ["[redact]\nfield = []", "[redact]\nfields = 1", "redact = 1", '[redact]\npatterns = ["("]', "[redact"]
)
def test_settings_that_are_wrong_name_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "gp-replay.toml").write_text(text)
    with pytest.raises(UsageError, match=r"gp-replay\.toml"):
        load_redaction(tmp_path)
