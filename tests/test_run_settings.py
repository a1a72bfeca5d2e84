"""Run settings from a project's files, and credentials fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from wire import run

from gp_replay.core.routing import parse_upstream
from gp_replay.errors import CouldNotCheck, UsageError
from gp_replay.run_settings import fetch_tokens, load_run_settings, refuse_deprecated_upstreams
from gp_replay.runs.environment import Environment


def environment(folder: Path, lines: str) -> Environment:
    (folder / "gp-replay.toml").write_text(f'[environments.staging]\nhosts.chat = "http://a"\n{lines}\n')
    return load_run_settings(folder).environments["staging"]


def test_settings_stand_in_pyproject_or_a_file_of_their_own(tmp_path: Path) -> None:
    assert load_run_settings(tmp_path).environments == {}
    text = '[tool.gp-replay]\ncassettes = "tapes"\n[tool.gp-replay.environments.docker]\nhosts.chat = "http://a"\n'
    (tmp_path / "pyproject.toml").write_text(text)
    settings = load_run_settings(tmp_path)
    assert (list(settings.environments), settings.cassettes) == (["docker"], ("tapes",))
    assert list(environment(tmp_path, "").hosts) == ["chat"]


def test_malformed_settings_name_the_file_and_the_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gp-replay\.toml: environments\.staging: unknown key port"):
        environment(tmp_path, "port = 1")
    with pytest.raises(UsageError, match=r"gp-replay\.toml: .*line 3"):
        environment(tmp_path, "[[")


def test_tokens_are_values_variables_and_what_commands_print(tmp_path: Path) -> None:
    lines = 'token = "v"\nowners.a = "$A"\nowners.b = { command = "echo minted" }'
    tokens = run(fetch_tokens(environment(tmp_path, lines), {"A": "from-a\n"}))
    assert tokens == {None: "v", "a": "from-a", "b": "minted"}
    assert run(fetch_tokens(environment(tmp_path, ""), {})) == {}


@pytest.mark.parametrize(
    ("token", "error", "words"),
    [
        ('"$NONE"', UsageError, r"environments\.staging\.token: the variable NONE is not set"),
        ('"two words"', UsageError, r"environments\.staging\.token is not one word that a header can carry"),
        ('"a\\r\\nX: secret"', UsageError, r"environments\.staging\.token is not one word"),
        ('{ command = "no-such-program" }', UsageError, r"environments\.staging\.token: cannot run 'no-such-program'"),
        ('{ command = "false" }', CouldNotCheck, r"environments\.staging\.token: false exited with 1"),
        ('{ command = "true" }', CouldNotCheck, "true did not print one word"),
        ('{ command = "echo my secret" }', CouldNotCheck, "echo did not print one word"),
        ('{ command = "sleep 1000" }\ndeadlines.token = 0.05', CouldNotCheck, r"sleep took more than 0\.05 s"),
    ],
)
def test_a_token_that_cannot_be_had_names_its_key_and_quotes_nothing(
    token: str, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as raised:
        run(fetch_tokens(environment(tmp_path, f"token = {token}"), {}))
    assert "secret" not in str(raised.value)


def test_upstreams_to_record_from_must_not_be_deprecated(tmp_path: Path) -> None:
    refuse_deprecated_upstreams([parse_upstream("chat=https://api-staging.netrasystems.ai")], tmp_path)
    with pytest.raises(UsageError, match=r"upstream chat: api\.staging\.netrasystems\.ai is deprecated") as raised:
        refuse_deprecated_upstreams([parse_upstream("chat=wss://api.staging.netrasystems.ai/ws")], tmp_path)
    assert raised.value.hint == "use api-staging.netrasystems.ai"
    (tmp_path / "gp-replay.toml").write_text('[deprecated_hosts]\n"*.old.test" = "new.test"')
    with pytest.raises(UsageError, match=r"upstream default: a\.old\.test is deprecated"):
        refuse_deprecated_upstreams([parse_upstream("http://a.old.test")], tmp_path)
