"""The command line: parse, one api call, print. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Optional, TypeVar

import typer

from gp_replay import __version__, cli_run, cli_upkeep
from gp_replay.console import Json, leave, print_data, say
from gp_replay.errors import GpReplayError, UsageError

if TYPE_CHECKING:
    from gp_replay.driving import Driven, Driving
    from gp_replay.recording import Recording
    from gp_replay.replaying import Replay

__all__ = ["app", "main"]

T = TypeVar("T")

app = typer.Typer(
    name="gp-replay",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Record real HTTP, SSE and WebSocket conversations once; replay them byte-faithfully and on time.\n\n"
    "Exit codes: 0 fine, 1 findings (a miss, a difference), 2 usage, 3 a cassette cannot be read, "
    "4 could not check, or nothing was served or recorded. With -- COMMAND its own non-zero code is passed on.",
)

_command: list[str] = []
"""What stood behind ``--``; set once by `main`, before the options are parsed."""

ListenOption = Annotated[
    Optional[list[str]],  # noqa: UP045  (typer reads it at run time)
    typer.Option("--listen", metavar="[ROLE=]HOST:PORT", help="Where to listen; default 127.0.0.1:0, a free port."),
]
IdsOption = Annotated[
    str, typer.Option(metavar="recorded|fresh", help="fresh: ids that we make are new, the same for the same play.")
]
EnvOption = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--env", metavar="NAME={ROLE}/v1", help="A variable for COMMAND; {ROLE} and {url} stand for URLs."),
]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The entry point: runs the command line and exits."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _command.clear()
    if "--" in arguments and arguments[0] in ("record", "replay", "run"):
        cut = arguments.index("--")
        _command.extend(arguments[cut + 1 :])
        if not _command:
            _fail(UsageError("no command behind --", hint="like -- pytest tests/"))
        arguments = arguments[:cut]
    try:
        app(args=arguments, prog_name="gp-replay", obj=_command)
    except GpReplayError as error:
        _fail(error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0)


def _fail(error: GpReplayError) -> NoReturn:
    say(f"error: {error}")
    if error.hint:
        say(f"\nhint: {error.hint}")
    raise SystemExit(error.exit_code)


def _version(value: bool) -> None:
    if value:
        print(f"gp-replay {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    del version


@app.command()
def record(
    upstream: Annotated[
        list[str],
        typer.Option("--upstream", metavar="[ROLE=]URL", help="What to relay to; may be given several times."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The cassette to write.")],
    listen: ListenOption = None,
    mode: Annotated[
        str,
        typer.Option(
            metavar="once|all|new-episodes",
            help="once refuses an existing FILE; all makes a new revision of it; "
            "new-episodes serves what it holds and adds the rest.",
        ),
    ] = "once",
    skip: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--skip", metavar="PATTERN", help="Paths that are relayed and not recorded, like '/health*'."),
    ] = None,
    env: EnvOption = None,
    host: Annotated[
        str,
        typer.Option(metavar="upstream|keep", help="upstream: Host names the upstream; keep: as the client sends it."),
    ] = "upstream",
    redact: Annotated[
        str, typer.Option(metavar="on|off", help="on, or off: then secrets are written as they are.")
    ] = "on",
) -> None:
    """Record what clients and upstreams say to each other.

    HTTP, SSE and WebSocket on one port. Stops at Ctrl-C, or when COMMAND ends:

    \b
        gp-replay record --upstream llm=http://127.0.0.1:8080 --out chat.gpr \\
            -- pytest tests/
    """
    from gp_replay import api
    from gp_replay.core.redaction import RedactionRules

    if host not in ("upstream", "keep"):
        raise UsageError(f"--host {host!r}", hint="upstream or keep")
    if redact not in ("on", "off"):
        raise UsageError(f"--redact {redact!r}", hint="on or off")
    recording = api.record(
        upstream,
        out=out,
        mode=mode,
        listen=listen or (),
        skip=skip or (),
        keep_host=host == "keep",
        redaction=RedactionRules.off() if redact == "off" else None,
        log=say,
    )
    if redact == "off":
        say("warning: redaction is off; the cassette will hold secrets as they were sent")
    leave(_run(_record(recording, list(env or ()))))


async def _record(recording: Recording, env: list[str]) -> int:
    async with recording:
        code = await _serve(recording, env)
        recording.exit_code = code if _command else None
    result = recording.result
    assert result is not None
    for authority in result.bypassed:
        say(f"warning: a redirect to {authority} led clients past the recorder; what they said there is not recorded")
    for line in result.unreachable:
        say(f"warning: {line}")
    if result.broken:
        say(f"warning: {result.broken} connection(s) were relayed but not recorded to the end; please report this")
    if code:
        return code
    recording.check()
    say(result.summary)
    return 1 if result.missed else 0


@app.command()
def replay(
    cassettes: Annotated[list[Path], typer.Argument(help="Cassettes, or folders of them.", metavar="CASSETTE...")],
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--only", metavar="ROLE", help="Serve only this role; may be given several times."),
    ] = None,
    listen: ListenOption = None,
    timing: Annotated[
        str, typer.Option(metavar="TIMING", help="recorded, instant, scale:0.5 (twice as fast) or cap:SECONDS.")
    ] = "recorded",
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for a client that is late.")
    ] = 10.0,
    receipt: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Where to write what was served, missed and left unplayed, as JSON."),
    ] = None,
    ids: IdsOption = "recorded",
    clock: Annotated[
        str, typer.Option(metavar="recorded|rebase", help="rebase: times in what is served are moved to now.")
    ] = "recorded",
    owners: Annotated[
        str, typer.Option(metavar="exact|bind", help="bind: a user nobody recorded takes a recorded one that fits.")
    ] = "exact",
    on_repeat: Annotated[
        str, typer.Option(metavar="refuse|last|cycle", help="When all recordings of a request were used.")
    ] = "refuse",
    on_miss: Annotated[
        str,
        typer.Option(metavar="refuse|live", help="live: what nobody recorded is relayed to its role's upstream."),
    ] = "refuse",
    upstream: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--upstream", metavar="[ROLE=]URL", help="Where --on-miss live goes; default where it was recorded from."
        ),
    ] = None,
    fault: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--fault",
            metavar="[ROLE:]FAULT[#N]",
            help="What goes wrong, like llm:http=429#1 or welcome-late; may be given several times.",
        ),
    ] = None,
    edge: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="cloud-run", help="What stands before the servers: old sockets are cut, headers lost."),
    ] = None,
    env: EnvOption = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not check the digest of the files.")] = False,
) -> None:
    """Serve cassettes to any client, with no network.

    HTTP, SSE and WebSocket on one port. Stops at Ctrl-C, or when COMMAND ends:

    \b
        gp-replay replay cassettes/ --timing instant -- pytest tests/
    """
    from gp_replay import api
    from gp_replay.core.routing import parse_upstream

    served = api.replay(
        cassettes,
        only=only or (),
        listen=listen or (),
        timing=timing,
        patience=patience,
        receipt=receipt,
        verify=not no_verify,
        ids=ids,
        clock=clock,
        owners=owners,
        on_repeat=on_repeat,
        on_miss=on_miss,
        upstreams={item.role: item.url for item in map(parse_upstream, upstream or ())},
        faults=fault or (),
        edge=edge,
        log=say,
    )
    leave(_run(_replay(served, list(env or ()))))


async def _replay(served: Replay, env: list[str]) -> int:
    from gp_replay.report.plain_text import printable

    async with served:
        for warning in served.warnings:
            say(f"warning: {warning}")
        code = await _serve(served, env)
        served.command_exit = code if _command else None
    receipt = served.receipt
    for note in receipt.all_notes:
        say(printable(f"note: {note}"))
    say(receipt.verdict)
    return code or receipt.exit_code


async def _serve(service: Recording | Replay, env: list[str]) -> int:
    """Prints the URLs, then waits for the command or a signal."""
    from gp_replay.net.command import Stopped, run_command
    from gp_replay.report.plain_text import printable
    from gp_replay.settings import parse_variable

    variables = service.variables([parse_variable(text) for text in env])
    with Stopped() as stopped:
        print(service.url, file=sys.stderr if _command else sys.stdout, flush=True)
        for role, url in service.urls.items():
            if url != service.url:
                say(printable(f"{role}: {url}"))
        if _command:
            return await run_command(_command, variables, stopped)
        await stopped.wait()
        return 0


@app.command()
def drive(
    cassette: Annotated[Path, typer.Argument(help="Whose clients to play.", metavar="CASSETTE")],
    against: Annotated[
        list[str],
        typer.Option("--against", metavar="[ROLE=]URL", help="The live service of a role; may be given several times."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The take to write.")],
    server: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--server", metavar="ROLE", help="A role to replay meanwhile, for the live service to use."),
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the replayed roles are; default a free port.")
    ] = "127.0.0.1:0",
    timing: Annotated[str, typer.Option(metavar="TIMING", help="As for replay.")] = "recorded",
    patience: Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait for a late service.")] = 10.0,
    ids: IdsOption = "recorded",
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="For the whole drive.")] = 600.0,
    as_json: Json = False,
) -> None:
    """Play a cassette's clients against live services and record the take.

    Credentials come from GP_REPLAY_<ROLE>_TOKEN and GP_REPLAY_<ROLE>_TOKEN_<USER>, or from the settings:

    \b
        gp-replay drive chat.gpr --against chat=http://127.0.0.1:8080 --server llm --out take.gpr
    """
    from gp_replay import api

    driving = api.drive(
        cassette,
        against=against,
        out=out,
        servers=server or (),
        listen=listen,
        timing=timing,
        patience=patience,
        ids=ids,
        timeout=timeout,
        log=say,
    )
    driven = _run(_drive(driving))
    print_data([json.dumps(driven.plain(), indent=2)] if as_json else driven.lines())
    leave(driven.exit_code)


async def _drive(driving: Driving) -> Driven:
    async with driving:
        for role, url in driving.urls.items():
            say(f"{role}: {url}")
        await driving.drive()
    assert driving.result is not None
    return driving.result


@app.command()
def demo(
    keep: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="DIR", help="Leave the cassette and what the live client saw in DIR."),
    ] = None,
    again: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--replay", metavar="DIR", help="Only repeat the comparison with what --keep left in DIR."),
    ] = None,
    live_llm: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="URL", help="Use a real OpenAI-compatible LLM instead of the shipped cassette."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the whole loop on shipped data.

    Replays an LLM, runs an agent on it, records its chat, replays that with the agent stopped, and compares.
    """
    from gp_replay.demo.loop import run_demo

    if again is not None and (keep is not None or live_llm is not None):
        raise UsageError("--replay repeats a comparison; it takes neither --keep nor --live-llm")
    result = _run(run_demo(keep=keep, again=again, live_llm=live_llm, say=say))
    print_data([json.dumps(result.plain(), indent=2) if as_json else result.text()])
    leave(result.exit_code)


app.add_typer(cli_run.commands)
app.add_typer(cli_upkeep.commands)


def _run(work: Coroutine[Any, Any, T]) -> T:
    import asyncio

    return asyncio.run(work)


if __name__ == "__main__":
    main()
