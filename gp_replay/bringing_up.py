"""Makes an environment ready for a run: looks whether it is there, starts it as the settings say, and ends it again."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from gp_replay.errors import UsageError
from gp_replay.net.bounded import Ended, kill_group, run_bounded
from gp_replay.net.clock import Clock
from gp_replay.net.probing import probe_docker, probe_http, probe_websocket
from gp_replay.runs.environment import Environment, HealthCheck

__all__ = ["make_ready"]

_BETWEEN_LOOKS_SECONDS = 0.1


async def make_ready(
    environment: Environment,
    *,
    needs_docker: bool,
    token: str,
    variables: Mapping[str, str],
    undo: AsyncExitStack,
    warn: Callable[[str], None],
) -> str:
    """Looks at an environment, and brings it up where it is not there.

    Args:
        environment: says what must answer and how to bring it up.
        needs_docker: Docker itself must answer first.
        token: for its health checks, or "".
        variables: for ``up`` and ``down``.
        undo: gets what ends again what was begun here, also when this fails or is cancelled. What was there before
            stays.
        warn: called with what goes wrong on the way down.

    Returns:
        "" when it is there, else why not.

    Raises:
        UsageError: ``up`` cannot be run.
    """
    if needs_docker and (problem := await probe_docker(seconds=environment.deadlines.docker)):
        return problem
    problem = await _health(environment, token)
    if not problem or not environment.up:
        return problem
    groups: list[int] = []
    undo.push_async_callback(_bring_down, environment, variables, groups, warn)
    return await _bring_up(environment, variables, groups, token)


async def _bring_up(environment: Environment, variables: Mapping[str, str], groups: list[int], token: str) -> str:
    clock, seconds = Clock(), environment.deadlines.up
    command = shlex.join(environment.up)
    try:
        ended = await run_bounded(environment.up, seconds=seconds, variables=variables, leave_running=True)
    except UsageError as error:
        raise UsageError(f"environments.{environment.name}.up: {error}") from error
    groups.extend([ended.group] if ended.group else [])
    if ended.code is None:
        return f"{command} took more than {seconds:g} s"
    if ended.code:
        return _said(environment.up, ended)
    while (problem := await _health(environment, token)) and clock.now_us() < seconds * 1_000_000:
        await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)
    return f"{problem}, {seconds:g} s after {command}" if problem else ""


async def _bring_down(
    environment: Environment, variables: Mapping[str, str], groups: list[int], warn: Callable[[str], None]
) -> None:
    try:
        if environment.down:
            seconds = environment.deadlines.down
            ended = await run_bounded(environment.down, seconds=seconds, variables=variables)
            if ended.code is None:
                warn(f"{shlex.join(environment.down)} took more than {seconds:g} s; {environment.name} may still run")
            elif ended.code:
                warn(_said(environment.down, ended))
    except UsageError as error:
        warn(f"environments.{environment.name}.down: {error}; {environment.name} may still run")
    finally:
        for group in groups:
            await kill_group(group)


def _said(command: Sequence[str], ended: Ended) -> str:
    return f"{shlex.join(command)} exited with {ended.code}: {ended.last_line}".removesuffix(": ")


async def _health(environment: Environment, token: str) -> str:
    """What is wrong, of all that must answer; all are looked at together."""
    problems = await asyncio.gather(*(_look(environment, check, token) for check in environment.checks))
    found = [f"{check}: {problem}" for check, problem in zip(environment.checks, problems, strict=True) if problem]
    return "; ".join(found)


async def _look(environment: Environment, check: HealthCheck, token: str) -> str:
    upstream, seconds = environment.hosts[check.role], environment.deadlines.probe
    if check.websocket:
        return await probe_websocket(upstream, check.path, token=token, seconds=seconds)
    return await probe_http(upstream, check.path, token=token, seconds=seconds, any_answer=check.any_answer)
