"""Settings of a run: what is read, and that everything that cannot be meant names its key."""

from __future__ import annotations

import contextlib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.errors import UsageError
from gp_replay.runs.environment import Deadlines, HealthCheck, RunSettings, Token


def read(text: str) -> RunSettings:
    return RunSettings.from_plain(tomllib.loads(text), source="gp-replay.toml")


FULL = """
cassettes = ["cassettes", "more/chat.gpr"]
[environments.staging]
hosts.chat = "https://api.example.com/base"
hosts.llm = "cassette"
hosts.auth = "wss://auth.example.com"
probe.chat = ["/health", "GET /ready", "WS /ws?mode=main"]
token = "$STAGING_TOKEN"
owners.alice = { command = "mint 'for alice'" }
owners.bob = "a-value"
up = "docker compose up -d --wait"
down = ["docker", "compose", "down"]
deadlines = { probe = 1, up = 2.5 }
[deprecated_hosts]
"*.Run.app" = "api.example.com"
"""


def test_all_that_can_be_said_is_read() -> None:
    settings = read(FULL)
    assert settings.cassettes == ("cassettes", "more/chat.gpr")
    environment = settings.environments["staging"]
    assert {role: upstream.url for role, upstream in environment.hosts.items()} == {
        "chat": "https://api.example.com/base",
        "auth": "wss://auth.example.com",
    }
    assert environment.replayed == ("llm",)
    assert environment.checks == (
        HealthCheck(role="chat", path="/health"),
        HealthCheck(role="chat", path="/ready"),
        HealthCheck(role="chat", path="/ws?mode=main", websocket=True),
        HealthCheck(role="auth", path="/", any_answer=True),
    )
    where = "gp-replay.toml: environments.staging"
    assert environment.token == Token(where=f"{where}.token", variable="STAGING_TOKEN")
    assert environment.owners == {
        "alice": Token(where=f"{where}.owners.alice", command=("mint", "for alice")),
        "bob": Token(where=f"{where}.owners.bob", value="a-value"),
    }
    assert (environment.up, environment.down) == (
        ("docker", "compose", "up", "-d", "--wait"),
        ("docker", "compose", "down"),
    )
    assert environment.deadlines == Deadlines(probe=1, up=2.5)
    assert [str(check) for check in environment.checks][:3:2] == ["chat GET /health", "chat WS /ws?mode=main"]
    assert "a-value" not in repr(environment)


def test_without_settings_there_are_no_environments_and_cassettes_are_in_their_folder() -> None:
    assert read("") == RunSettings()
    assert read('cassettes = "tapes"').cassettes == ("tapes",)
    assert read("[redact]\nfields = []").environments == {}


HOST = '[environments.staging]\nhosts.chat = "http://a"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("environments = 1", "environments is a table"),
        ("environments.staging = 1", "environments.staging is a table"),
        ("[environments.staging]", "environments.staging.hosts names no live host"),
        ('[environments.staging]\nhosts.llm = "cassette"', "environments.staging.hosts names no live host"),
        ('[environments.cassette]\nhosts.chat = "http://a"', "environments.cassette: cassettes are no environment"),
        ("[environments.staging]\nhosts.chat = 1", "environments.staging.hosts.chat is no text"),
        ('[environments.staging]\nhosts.chat = "ftp://a"', "environments.staging.hosts.chat: 'ftp://a'"),
        ('[environments.staging]\nhosts."a b" = "http://a"', "environments.staging.hosts.a b: 'a b' is no name"),
        ('[environments.staging]\nhosts."a/b" = "cassette"', "environments.staging.hosts.a/b: 'a/b' is no name"),
        (HOST + "port = 1", "environments.staging: unknown key port"),
        (HOST + 'probe.llm = "/x"', "environments.staging.probe.llm: no live role"),
        (HOST + 'probe.chat = "health"', "environments.staging.probe.chat: 'health'"),
        (HOST + 'probe.chat = "POST /x"', "environments.staging.probe.chat: 'POST /x'"),
        (HOST + 'probe.chat = "GET /x\\r\\nA: b"', "environments.staging.probe.chat"),
        (HOST + "probe.chat = [1]", "environments.staging.probe.chat is a text, or a list of them"),
        (HOST + 'up = ""', "environments.staging.up"),
        (HOST + "up = []", "environments.staging.up is no command"),
        (HOST + 'up = "a \'b"', "environments.staging.up: No closing quotation"),
        (HOST + "down = 1", "environments.staging.down"),
        (HOST + "token = 1", "environments.staging.token is no text"),
        (HOST + 'token = { cmd = "a" }', "environments.staging.token: a table holds command"),
        (HOST + "owners.alice = []", "environments.staging.owners.alice is no text"),
        (HOST + "deadlines = { probe = 0 }", "environments.staging.deadlines.probe is no number of seconds"),
        (HOST + "deadlines = { probe = true }", "environments.staging.deadlines.probe is no number"),
        (HOST + "deadlines = { probe = nan }", "environments.staging.deadlines.probe is no number"),
        (HOST + "deadlines = { sleep = 1 }", "environments.staging.deadlines: unknown key sleep"),
        ("cassettes = []", "cassettes names nothing"),
        ("cassettes = 1", "cassettes is a text"),
        ("deprecated_hosts = []", "deprecated_hosts is a table"),
        ('[deprecated_hosts]\n"*.a" = 1', "deprecated_hosts.*.a is no text"),
        (
            '[environments.docker]\nhosts.chat = "wss://api.staging.netrasystems.ai/ws"',
            "environments.docker.hosts.chat: api.staging.netrasystems.ai is deprecated (api.staging.netrasystems.ai)",
        ),
        (
            '[environments.docker]\nhosts.chat = "http://x.run.app"\n[deprecated_hosts]\n"*.Run.app" = "api.example.com"',
            "environments.docker.hosts.chat: x.run.app is deprecated (*.run.app)",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line_that_names_file_and_key(text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(text)
    assert str(raised.value).startswith("gp-replay.toml: " + words)
    assert "\n" not in str(raised.value)


def test_the_hint_for_a_deprecated_host_names_what_to_use() -> None:
    with pytest.raises(UsageError) as raised:
        read('[environments.docker]\nhosts.chat = "wss://api.staging.netrasystems.ai/ws"')
    assert raised.value.hint == "use api-staging.netrasystems.ai"


WORDS = "environments staging hosts chat probe up token owners deadlines cassettes command deprecated_hosts http://a"
words = st.sampled_from(
    [*WORDS.split(), "http://a:99999", "cassette", "GET /x", "$A", "'", "", "a b", "http://[::1", "*"]
)
plain = st.recursive(
    words | st.integers() | st.floats() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
tables = st.dictionaries(words, plain, max_size=3)


@given(tables, tables)
def test_garbage_is_settings_or_one_usage_error(top: dict[str, object], inner: dict[str, object]) -> None:
    hosts = {"hosts": {"chat": "http://a"}}
    for garbage in (top, {"environments": {"staging": inner}}, {"environments": {"staging": {**inner, **hosts}}}):
        with contextlib.suppress(UsageError):
            RunSettings.from_plain(garbage, source="x")
