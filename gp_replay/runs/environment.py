"""What the settings say about a run: where roles are in each environment, how to see that they are there, and more.

::

    [tool.gp-replay]
    cassettes = "cassettes"                       # or a list

    [tool.gp-replay.environments.staging]
    hosts.chat = "https://api-staging.example.com"  # role = URL, or "cassette"
    probe.chat = ["GET /health", "WS /ws"]        # what must answer; default GET /, anything below 500
    token = "$STAGING_TOKEN"                      # a value, $VARIABLE, or { command = "…" }; sent as a bearer token
    owners.alice = { command = "mint-token alice" }
    up = "docker compose up -d --wait"            # where it is not there; down ends what up began
    down = "docker compose down"
    deadlines = { docker = 5, probe = 5, up = 180, down = 60, token = 15 }   # seconds; these are the defaults

    [tool.gp-replay.deprecated_hosts]
    "*.old.example.com" = "new.example.com"
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gp_replay.core.routing import Upstream, parse_upstream
from gp_replay.errors import UsageError
from gp_replay.runs.hosts import DeprecatedHost, deprecated_host

__all__ = [
    "Deadlines",
    "Environment",
    "HealthCheck",
    "RunSettings",
    "Token",
    "deprecated_from_plain",
    "refuse_deprecated",
]

_CHECK = re.compile(r"(?:(GET|WS) )?(/[\x21-\x7e]*)")
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_MAX_SECONDS = 86_400.0
_KEYS = ("hosts", "probe", "up", "down", "token", "owners", "deadlines")
_CASSETTE = "cassette"
_DEFAULT_PATHS = ("cassettes",)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One thing that must answer.

    Attributes:
        role: of the environment.
        path: request target.
        websocket: an upgrade that must be accepted; else a GET that must be answered whole with 2xx.
        any_answer: any status below 500 will do: nobody said what to expect.
    """

    role: str
    path: str
    websocket: bool = False
    any_answer: bool = False

    def __str__(self) -> str:
        return f"{self.role} {'WS' if self.websocket else 'GET'} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """How to come by a credential: exactly one of the three is set. ``where`` is its key in the settings."""

    where: str
    value: str = field(default="", repr=False)
    variable: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds until something that does not answer is given up."""

    docker: float = 5.0
    probe: float = 5.0
    up: float = 180.0
    down: float = 60.0
    token: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where roles are.

    Attributes:
        name: in the settings.
        hosts: live roles.
        replayed: roles that cassettes answer for in this environment.
        checks: what must answer before it counts as there.
        up, down: commands that start and stop it, or ().
        token: for everybody, or None.
        owners: user to token.
        deadlines: see there.
    """

    name: str
    hosts: Mapping[str, Upstream]
    replayed: tuple[str, ...] = ()
    checks: tuple[HealthCheck, ...] = ()
    up: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    token: Token | None = None
    owners: Mapping[str, Token] = field(default_factory=dict)
    deadlines: Deadlines = field(default_factory=Deadlines)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The settings that concern runs.

    Attributes:
        environments: by name.
        cassettes: paths, relative to the project.
        deprecated: patterns of the project; those that are always known are not among them.
    """

    environments: Mapping[str, Environment] = field(default_factory=dict)
    cassettes: tuple[str, ...] = _DEFAULT_PATHS
    deprecated: tuple[DeprecatedHost, ...] = ()

    @classmethod
    def from_plain(cls, plain: Mapping[str, object], *, source: str) -> RunSettings:
        """Reads the settings of a project; keys that do not concern runs are left alone.

        Args:
            plain: as TOML gave it.
            source: the file, for messages.

        Raises:
            UsageError: a value that cannot be meant, or a deprecated host; the key is named.
        """
        deprecated = deprecated_from_plain(plain, source=source)
        tables = _table(plain.get("environments", {}), f"{source}: environments")
        given = plain.get("cassettes", list(_DEFAULT_PATHS))
        paths = _texts(given, f"{source}: cassettes")
        if not paths:
            raise UsageError(f"{source}: cassettes names nothing", hint='like cassettes = "cassettes"')
        return cls(
            environments={
                name: _environment(name, table, f"{source}: environments.{name}", deprecated)
                for name, table in tables.items()
            },
            cassettes=paths,
            deprecated=deprecated,
        )


def deprecated_from_plain(plain: Mapping[str, object], *, source: str) -> tuple[DeprecatedHost, ...]:
    """The patterns of a project alone. Arguments as for `RunSettings.from_plain`.

    Raises:
        UsageError: they are no table of texts.
    """
    where = f"{source}: deprecated_hosts"
    table = _table(plain.get("deprecated_hosts", {}), where)
    return tuple(
        DeprecatedHost(pattern=pattern.lower(), replacement=_text(value, f"{where}.{pattern}"))
        for pattern, value in table.items()
    )


def refuse_deprecated(host: str, own: Sequence[DeprecatedHost], where: str) -> None:
    """Refuses a host that nobody should use any more.

    Args:
        host: without a port.
        own: patterns of the project.
        where: the key or flag that names it.

    Raises:
        UsageError: it is deprecated; the hint names what to use.
    """
    found = deprecated_host(host, own)
    if found is not None:
        raise UsageError(f"{where}: {host} is deprecated ({found.pattern})", hint=f"use {found.replacement}")


def _environment(name: str, plain: object, where: str, deprecated: Sequence[DeprecatedHost]) -> Environment:
    table = _table(plain, where)
    if name == _CASSETTE:
        raise UsageError(f"{where}: cassettes are no environment", hint="cassettes = … says where they are")
    unknown = [key for key in table if key not in _KEYS]
    if unknown:
        raise UsageError(f"{where}: unknown key {unknown[0]}", hint=", ".join(_KEYS))
    hosts, replayed = _hosts(table.get("hosts", {}), f"{where}.hosts", deprecated)
    checks = _checks(table.get("probe", {}), f"{where}.probe", hosts)
    owners = _table(table.get("owners", {}), f"{where}.owners")
    return Environment(
        name=name,
        hosts=hosts,
        replayed=replayed,
        checks=checks,
        up=_command(table.get("up"), f"{where}.up"),
        down=_command(table.get("down"), f"{where}.down"),
        token=_token(table["token"], f"{where}.token") if "token" in table else None,
        owners={owner: _token(value, f"{where}.owners.{owner}") for owner, value in owners.items()},
        deadlines=_deadlines(table.get("deadlines", {}), f"{where}.deadlines"),
    )


def _hosts(
    plain: object, where: str, deprecated: Sequence[DeprecatedHost]
) -> tuple[dict[str, Upstream], tuple[str, ...]]:
    hosts: dict[str, Upstream] = {}
    replayed: list[str] = []
    for role, value in _table(plain, where).items():
        url = _text(value, f"{where}.{role}")
        if url == _CASSETTE:
            replayed.append(role)
            url = "http://cassette"  # only the role's name is still to be checked
        try:
            upstream = parse_upstream(f"{role}={url}")
        except UsageError as error:
            raise UsageError(f"{where}.{role}: {error}", hint='a URL, or "cassette"') from error
        if role not in replayed:
            refuse_deprecated(upstream.host, deprecated, f"{where}.{role}")
            hosts[role] = upstream
    if not hosts:
        raise UsageError(f"{where} names no live host", hint='like hosts.chat = "http://127.0.0.1:8000"')
    return hosts, tuple(replayed)


def _checks(plain: object, where: str, hosts: Mapping[str, Upstream]) -> tuple[HealthCheck, ...]:
    checks: list[HealthCheck] = []
    table = _table(plain, where)
    for role, value in table.items():
        if role not in hosts:
            raise UsageError(f"{where}.{role}: no live role", hint=f"roles: {', '.join(hosts)}")
        for text in _texts(value, f"{where}.{role}"):
            found = _CHECK.fullmatch(text)
            if found is None:
                raise UsageError(f"{where}.{role}: {text!r}", hint='like "/health", "GET /health" or "WS /ws"')
            checks.append(HealthCheck(role=role, path=found[2], websocket=found[1] == "WS"))
    checks += [HealthCheck(role=role, path="/", any_answer=True) for role in hosts if role not in table]
    return tuple(checks)


def _token(plain: object, where: str) -> Token:
    if isinstance(plain, dict):
        if plain.keys() != {"command"}:
            raise UsageError(f"{where}: a table holds command, and nothing else", hint='{ command = "mint-token" }')
        return Token(where=where, command=_command(plain["command"], f"{where}.command"))
    text = _text(plain, where)
    variable = _VARIABLE.fullmatch(text)
    return Token(where=where, variable=variable[1]) if variable else Token(where=where, value=text)


def _deadlines(plain: object, where: str) -> Deadlines:
    deadlines = Deadlines()
    known = Deadlines.__slots__
    for name, value in _table(plain, where).items():
        if name not in known:
            raise UsageError(f"{where}: unknown key {name}", hint=", ".join(known))
        if type(value) not in (int, float) or not 0 < value <= _MAX_SECONDS:  # type: ignore[operator]
            raise UsageError(f"{where}.{name} is no number of seconds", hint=f"above 0, up to {_MAX_SECONDS:g}")
        deadlines = replace(deadlines, **{name: float(value)})  # type: ignore[arg-type]
    return deadlines


def _command(plain: object, where: str) -> tuple[str, ...]:
    if plain is None:
        return ()
    if isinstance(plain, str):
        try:
            words: Sequence[str] = shlex.split(plain)
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from error
    else:
        words = _texts(plain, where)
    if not words:
        raise UsageError(f"{where} is no command", hint='like "docker compose up -d --wait"')
    return tuple(words)


def _table(plain: object, where: str) -> dict[str, object]:
    if not isinstance(plain, dict):
        raise UsageError(f"{where} is a table")
    return plain


def _text(plain: object, where: str) -> str:
    if not isinstance(plain, str) or not plain:
        raise UsageError(f"{where} is no text")
    return plain


def _texts(plain: object, where: str) -> tuple[str, ...]:
    items = plain if isinstance(plain, list) else [plain]
    if not all(isinstance(item, str) and item for item in items):
        raise UsageError(f"{where} is a text, or a list of them")
    return tuple(items)
