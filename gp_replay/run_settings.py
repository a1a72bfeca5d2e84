"""The settings of a project that concern runs, and its credentials fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from gp_replay.core.routing import Upstream
from gp_replay.errors import CouldNotCheck, UsageError
from gp_replay.net.bounded import run_bounded
from gp_replay.runs.environment import Environment, RunSettings, Token, deprecated_from_plain, refuse_deprecated
from gp_replay.settings import project_settings

__all__ = ["fetch_tokens", "load_run_settings", "refuse_deprecated_upstreams"]

_TOKEN = re.compile(r"[\x21-\x7e]+")


def load_run_settings(folder: Path) -> RunSettings:
    """Reads what `gp_replay.runs.environment` describes.

    Args:
        folder: of the project; without settings there are no environments.

    Raises:
        UsageError: the settings cannot be read, or hold a value that cannot be meant; file and key are named.
    """
    source, plain = project_settings(folder)
    return RunSettings.from_plain(plain, source=source)


def refuse_deprecated_upstreams(upstreams: Iterable[Upstream], folder: Path) -> None:
    """Refuses what nobody should record from any more.

    Args:
        upstreams: that are to be recorded.
        folder: of the project; its ``deprecated_hosts`` count too.

    Raises:
        UsageError: one is deprecated, and the hint names what to use; or the settings cannot be read.
    """
    source, plain = project_settings(folder)
    own = deprecated_from_plain(plain, source=source)
    for upstream in upstreams:
        refuse_deprecated(upstream.host, own, f"upstream {upstream.role}")


async def fetch_tokens(environment: Environment, variables: Mapping[str, str]) -> dict[str | None, str]:
    """The credentials of an environment: user to token, None to that of everybody.

    Args:
        environment: says how to come by them.
        variables: of this process.

    Raises:
        UsageError: a variable is not set, a value is no token, or there is no such command.
        CouldNotCheck: a command fails, prints no token, or takes too long.
    """
    wanted: dict[str | None, Token] = dict(environment.owners.items())
    if environment.token is not None:
        wanted[None] = environment.token
    return {owner: await _fetch(token, environment, variables) for owner, token in wanted.items()}


async def _fetch(token: Token, environment: Environment, variables: Mapping[str, str]) -> str:
    if token.command:
        return await _mint(token, seconds=environment.deadlines.token)
    if token.variable and not variables.get(token.variable):
        raise UsageError(f"{token.where}: the variable {token.variable} is not set")
    # A variable may have been read from a file, line end included.
    text = token.value or variables[token.variable].strip()
    if not _TOKEN.fullmatch(text):
        raise UsageError(f"{token.where} is not one word that a header can carry")
    return text


async def _mint(token: Token, *, seconds: float) -> str:
    try:
        ended = await run_bounded(token.command, seconds=seconds)
    except UsageError as error:
        raise UsageError(f"{token.where}: {error}") from error
    # What a command said may be a credential, so it is not quoted.
    if ended.code is None:
        raise CouldNotCheck(f"{token.where}: {token.command[0]} took more than {seconds:g} s")
    if ended.code:
        raise CouldNotCheck(f"{token.where}: {token.command[0]} exited with {ended.code}")
    text = ended.stdout.decode("utf-8", "replace").strip()
    if not _TOKEN.fullmatch(text):
        raise CouldNotCheck(f"{token.where}: {token.command[0]} did not print one word that a header can carry")
    return text
