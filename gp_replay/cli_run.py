"""The command that runs a suite against Docker, staging or cassettes. It parses, makes one call, and prints."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from gp_replay.console import leave, print_data, say, shout
from gp_replay.errors import DiskFailure, UsageError

__all__ = ["commands"]

commands = typer.Typer(rich_markup_mode=None)
"""The command, without a name of its own: it stands beside those of the application that takes it in."""


@commands.command()
def run(
    context: typer.Context,
    source: Annotated[
        str, typer.Option(metavar="auto|docker|staging|cassette", help="Who answers; auto is docker.")
    ] = "auto",
    execution_mode: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="fast_feedback|nightly",
            help="fast_feedback: cassettes, without waiting, two minutes at most; nightly: docker, never cassettes.",
        ),
    ] = None,
    docker_bypass: Annotated[bool, typer.Option("--docker-bypass", help="Staging; Docker is not looked at.")] = False,
    staging_e2e: Annotated[bool, typer.Option("--staging-e2e", help="Staging and nothing else.")] = False,
    no_docker: Annotated[bool, typer.Option("--no-docker", help="Cassettes: the emergency path.")] = False,
    real_services: Annotated[
        bool, typer.Option("--real-services", help="No cassette for any role; with --no-docker staging.")
    ] = False,
    fallback: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="staging,cassette", help="What may answer, in this order, where the source is not there."),
    ] = None,
    cassettes: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option("--cassettes", metavar="PATH", help="Default: the settings, else cassettes/. Several times."),
    ] = None,
    timing: Annotated[str, typer.Option(metavar="TIMING", help="Of cassettes, as for replay; default recorded.")] = "",
    owners: Annotated[str, typer.Option(metavar="exact|bind", help="Of cassettes, as for replay.")] = "exact",
    clock: Annotated[str, typer.Option(metavar="recorded|rebase", help="Of cassettes, as for replay.")] = "recorded",
    listen: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--listen", metavar="[ROLE=]HOST:PORT", help="Where COMMAND finds roles; default a free port."),
    ] = None,
    env: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--env", metavar="NAME={ROLE}/v1", help="A variable for COMMAND, as for replay."),
    ] = None,
    timeout: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="SECONDS", help="For COMMAND; default an hour, with fast_feedback 120."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON; what COMMAND prints goes to stderr.")
    ] = False,
    junit: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Where to write the report as JUnit XML."),
    ] = None,
) -> None:
    """Run a suite against Docker, staging or cassettes, and prove who answered.

    Live roles are reached through a recording proxy, which counts; falling back is only to what --fallback names.
    Where the environments are stands in the settings. COMMAND gets GP_REPLAY_<ROLE>_URL and GP_REPLAY_SOURCE:

    \b
        gp-replay run --fallback staging,cassette -- pytest tests/golden_path
    """
    from gp_replay.running import Surroundings, run_suite
    from gp_replay.runs.run_report import run_junit, run_lines, run_plain
    from gp_replay.runs.sources import Wishes
    from gp_replay.settings import parse_variable

    command: list[str] = context.obj or []
    _check(command, timeout=timeout, owners=owners, clock=clock)
    wishes = Wishes(
        source=source,
        execution_mode=execution_mode,
        docker_bypass=docker_bypass,
        staging_e2e=staging_e2e,
        no_docker=no_docker,
        real_services=real_services,
        fallback=() if fallback is None else tuple(fallback.split(",")),
    )
    surroundings = Surroundings(
        cassettes=cassettes or (),
        listen=listen or (),
        timing=timing,
        owners=owners,
        clock=clock,
        env=[parse_variable(text) for text in env or ()],
        timeout=timeout,
        stdout_to=2 if as_json else None,
        say=say,
        warn=shout,
    )
    report = asyncio.run(run_suite(command, wishes, surroundings))
    if as_json:
        print_data([json.dumps(run_plain(report), indent=2)])
    for line in run_lines(report):
        say(line)
    if junit is not None:
        _write(junit, run_junit(report))
    leave(report.exit_code)


def _check(command: list[str], *, timeout: float | None, owners: str, clock: str) -> None:
    if not command:
        raise UsageError("no command to run", hint="like gp-replay run --no-docker -- pytest tests/")
    if timeout is not None and not 0 < timeout <= 86_400:
        raise UsageError(f"--timeout {timeout:g}", hint="above 0, at most 86400 seconds")
    if owners not in ("exact", "bind"):
        raise UsageError(f"--owners {owners!r}", hint="exact or bind")
    if clock not in ("recorded", "rebase"):
        raise UsageError(f"--clock {clock!r}", hint="recorded or rebase")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DiskFailure(f"{path}: the report cannot be written: {error.strerror}") from error
