"""What a run is told from outside: settings of the project, rules beside cassettes, variables of a command."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import orjson

from gp_replay.contracts.contract import Contract
from gp_replay.contracts.contract_reading import contract_from
from gp_replay.core.credentials import Credentials
from gp_replay.core.profile import Profile
from gp_replay.core.redaction import RedactionRules
from gp_replay.core.routing import Upstream
from gp_replay.core.rules import Rules
from gp_replay.errors import UsageError

__all__ = [
    "command_variables",
    "load_contract",
    "load_credentials",
    "load_profile",
    "load_redaction",
    "load_rules",
    "own_rules",
    "parse_limit",
    "parse_variable",
    "profile_path",
    "project_settings",
]

SDK_VARIABLES = (
    ("api.openai.com", "OPENAI_BASE_URL", "/v1"),
    ("api.anthropic.com", "ANTHROPIC_BASE_URL", ""),
    ("generativelanguage.googleapis.com", "GOOGLE_GEMINI_BASE_URL", ""),
    ("api.mistral.ai", "MISTRAL_BASE_URL", ""),
    ("api.groq.com", "GROQ_BASE_URL", ""),
    ("openrouter.ai", "OPENROUTER_BASE_URL", "/api/v1"),
)
"""Upstream host, the variable its SDKs read, and the path that SDK expects in it."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def load_redaction(folder: Path, *, literals: tuple[bytes, ...] = ()) -> RedactionRules:
    """The built-in rules with what a project adds to them.

    ::

        [tool.gp-replay.redact]             # in pyproject.toml; [redact] in gp-replay.toml, which comes first
        fields = ["employee_number"]        # of JSON, forms and queries: their values are secrets
        headers = ["x-internal-token"]
        patterns = ["EMP-[0-9]{6}"]         # regular expressions

    Args:
        folder: of the project; a folder without settings adds nothing.
        literals: values that are secrets wherever they stand.

    Raises:
        UsageError: the settings cannot be read, or hold an unknown key, another type, or no regular expression.
    """
    source, plain = project_settings(folder)
    redact = plain.get("redact", {})
    if not isinstance(redact, dict):
        raise UsageError(f"{source}: redact is a table")
    for name, value in redact.items():
        if name not in ("fields", "headers", "patterns"):
            raise UsageError(f"{source}: unknown key redact.{name}", hint="fields, headers and patterns")
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise UsageError(f"{source}: redact.{name} is a list of strings")
    try:
        return RedactionRules(
            literals=literals,
            fields=tuple(redact.get("fields", ())),
            headers=frozenset(name.lower().encode("latin-1", "replace") for name in redact.get("headers", ())),
            patterns=tuple(redact.get("patterns", ())),
        )
    except UsageError as error:
        raise UsageError(f"{source}: {error}", hint=error.hint) from error


def project_settings(folder: Path) -> tuple[str, Mapping[str, object]]:
    """Where the project's settings stand, and what they are; the first of the two files that has any.

    Raises:
        UsageError: a file cannot be read, or is no TOML.
    """
    for name, keys in (("gp-replay.toml", ()), ("pyproject.toml", ("tool", "gp-replay"))):
        path = folder / name
        try:
            with path.open("rb") as file:
                plain: object = tomllib.load(file)
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"{path}: {error}") from error
        for key in keys:
            plain = plain.get(key, {}) if isinstance(plain, dict) else {}
        if isinstance(plain, dict) and plain:
            return str(path), plain
    return str(folder), {}


def load_credentials(folder: Path, environment: Mapping[str, str]) -> Credentials:
    """Credentials by role, and by role and user.

    ::

        [tool.gp-replay.credentials.chat]   # in pyproject.toml; [credentials.chat] in gp-replay.toml
        token = "$CHAT_TOKEN"               # a value, or $NAME for a variable
        owners.alice = "$ALICE_TOKEN"

    The variables ``GP_REPLAY_<ROLE>_TOKEN`` and ``GP_REPLAY_<ROLE>_TOKEN_<OWNER>`` (upper case, other characters as
    ``_``) count more.

    Args:
        folder: of the project.
        environment: variables.

    Raises:
        UsageError: the settings cannot be read, hold something else, or name a variable that is not set.
    """
    source, plain = project_settings(folder)
    tables = plain.get("credentials", {})
    if not isinstance(tables, dict):
        raise UsageError(f"{source}: credentials is a table of roles")
    by_role: dict[str, str] = {}
    by_owner: dict[tuple[str, str], str] = {}
    for role, table in tables.items():
        owners = table.get("owners", {}) if isinstance(table, dict) else None
        if not isinstance(table, dict) or not isinstance(owners, dict) or table.keys() - {"token", "owners"}:
            raise UsageError(
                f"{source}: credentials.{role} holds token and owners", hint='owners.alice = "$ALICE_TOKEN"'
            )
        if "token" in table:
            by_role[role] = _value(table["token"], environment, f"{source}: credentials.{role}.token")
        for owner, value in owners.items():
            by_owner[role, owner] = _value(value, environment, f"{source}: credentials.{role}.owners.{owner}")
    return Credentials(by_role=by_role, by_owner=by_owner, variables=_token_variables(environment))


def _value(value: object, environment: Mapping[str, str], where: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where} is no text")
    if not value.startswith("$"):
        return value
    if value[1:] not in environment:
        raise UsageError(f"{where}: the variable {value[1:]} is not set")
    return environment[value[1:]]


def _token_variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if value and re.fullmatch(r"GP_REPLAY_\w+_TOKEN(_\w+)?", name)
    }


def load_contract(name: str, *, limits: Mapping[str, float] | None = None) -> Contract:
    """A contract that comes with the program, by its name, or one in a file.

    Args:
        name: ``golden-path``, or the path of a TOML file.
        limits: seconds by the name of a limit, instead of the contract's.

    Raises:
        UsageError: there is no such contract, it is no TOML, it can never hold, or it has no such limit.
    """
    shipped = files("gp_replay.contracts")
    names = sorted(entry.name.removesuffix(".toml") for entry in shipped.iterdir() if entry.name.endswith(".toml"))
    try:
        text = (shipped / f"{name}.toml" if name in names else Path(name)).read_text("utf-8")
        plain = tomllib.loads(text)
    except FileNotFoundError as error:
        hint = f"known are {', '.join(names)}; or give the path of a TOML file"
        raise UsageError(f"there is no contract {name!r}", hint=hint) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{name}: {error}", hint="a contract is a TOML file") from error
    contract = contract_from(plain, source=name)
    known = ", ".join(limit.name for limit in contract.limits) or "none"
    try:
        return contract.with_limits(dict(limits or {}))
    except KeyError as error:
        raise UsageError(f"{name}: there is no limit {error.args[0]!r}", hint=f"its limits: {known}") from error
    except ValueError as error:
        raise UsageError(f"{name}: limit {error} is negative", hint="seconds, 0 or more") from error


def load_rules(cassette: Path) -> Rules:
    """The rules in ``NAME.toml`` beside ``NAME.gpr``, and what ``NAME.profile.json`` adds; none where neither is there.

    Literal places of the rules win over what was learned.

    Raises:
        UsageError: a file cannot be read, or holds something that is no rule or no profile.
    """
    return own_rules(cassette) + load_profile(cassette).rules


def own_rules(cassette: Path) -> Rules:
    """The rules in ``NAME.toml`` alone: what a person wrote.

    Raises:
        UsageError: the file is no TOML, or holds something that is no rule.
    """
    path = cassette.with_suffix(".toml")
    try:
        with path.open("rb") as file:
            plain = tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return Rules()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}", hint="it is the cassette's rules, as TOML") from error
    return Rules.from_plain(plain, source=str(path))


def profile_path(cassette: Path) -> Path:
    """Where the profile of a cassette stands."""
    return cassette.with_suffix(".profile.json")


def load_profile(cassette: Path) -> Profile:
    """The profile beside a cassette; an empty one where there is none.

    Raises:
        UsageError: the file cannot be read, or is no profile.
    """
    path = profile_path(cassette)
    try:
        plain = orjson.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Profile()
    except (OSError, orjson.JSONDecodeError) as error:
        raise UsageError(
            f"{path}: {error}", hint="gp-replay learn writes this file; delete it and learn again"
        ) from error
    return Profile.from_plain(plain, source=str(path))


def parse_limit(text: str) -> tuple[str, float]:
    """Reads ``NAME=SECONDS`` of ``--limit``.

    Raises:
        UsageError: not of that form, or no number of seconds.
    """
    name, _, number = text.partition("=")
    try:
        seconds = float(number)
    except ValueError:
        seconds = math.nan
    if not name or not math.isfinite(seconds) or seconds < 0:
        raise UsageError(f"--limit {text!r} is not NAME=SECONDS", hint="like --limit gap=30")
    return name, seconds


def parse_variable(text: str) -> tuple[str, str]:
    """Reads ``NAME=TEMPLATE`` of ``--env``.

    Raises:
        UsageError: not of that form.
    """
    name, equals, template = text.partition("=")
    if not equals or not _VARIABLE.fullmatch(name):
        raise UsageError(f"--env {text!r} is not NAME=VALUE", hint="like --env OPENAI_BASE_URL={llm}/v1")
    return name, template


def command_variables(
    urls: Mapping[str, str],
    *,
    root: str,
    upstreams: Sequence[Upstream] = (),
    extra: Sequence[tuple[str, str]] = (),
) -> dict[str, str]:
    """The environment of a command.

    Args:
        urls: where each role is served.
        root: the URL that serves all of them.
        upstreams: of the recording; known hosts bring the variables of their SDKs.
        extra: from ``--env``: a name, and a template in which ``{ROLE}`` and ``{url}`` stand for URLs.

    Raises:
        UsageError: a template names a role that is not there.
    """
    variables = {"GP_REPLAY_URL": root}
    for role, url in urls.items():
        variables[f"GP_REPLAY_{re.sub(r'[^A-Za-z0-9]', '_', role).upper()}_URL"] = url
    for upstream in upstreams:
        for host, name, path in SDK_VARIABLES:
            if upstream.host == host and upstream.role in urls:
                # The upstream's base path is added by the recorder, so the client must not bring it too.
                variables[name] = urls[upstream.role] + path.removeprefix(upstream.base_path)
    known = {**urls, "url": root, "role": next(iter(urls.values()), root)}
    for name, template in extra:
        missing = [role for role in re.findall(r"\{([^{}]*)\}", template) if role not in known]
        if missing:
            raise UsageError(f"--env {name}: there is no role {missing[0]!r}", hint=f"roles: {', '.join(sorted(urls))}")
        variables[name] = re.sub(r"\{([^{}]*)\}", lambda found: known[found[1]], template)
    return variables
