"""The commands that look after cassettes; the command line takes them in. Each parses, makes one call, and prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from gp_replay.console import Json, leave, print_data, say
from gp_replay.errors import UsageError

__all__ = ["commands"]

commands = typer.Typer(rich_markup_mode=None)
"""The commands, without a name of their own: they stand beside those of the application that takes them in."""

CassettePath = Annotated[Path, typer.Argument(help="A cassette (.gpr).", metavar="CASSETTE")]


def _warn_of(*paths: Path) -> None:
    from gp_replay.upkeep import redaction_warning

    for warning in filter(None, map(redaction_warning, paths)):
        say(f"warning: {warning}")


@commands.command("list")
def list_(
    folder: Annotated[Path, typer.Argument(help="Where to look.", metavar="DIR")] = Path("cassettes"),
    as_json: Json = False,
) -> None:
    """List cassettes: age, roles, what they hold."""
    from gp_replay import upkeep

    listing = upkeep.list_cassettes(folder)
    print_data([json.dumps(listing.plain, indent=2) if as_json else listing.text])
    for warning in listing.warnings:
        say(warning)
    leave(listing.exit_code)


@commands.command()
def show(
    cassette: CassettePath,
    stream: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option("--stream", metavar="N", help="Only this exchange or connection; may be given several times."),
    ] = None,
    max_bytes: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", min=0, help="Cut each body and message after N bytes; default shows all."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a cassette as stable text.

    Made to be diffed: with `git config diff.gpr.textconv 'gp-replay show'` and a .gitattributes line, git does it.
    """
    from gp_replay import upkeep

    if as_json and (stream or max_bytes is not None):
        raise UsageError("--json shows everything; it takes neither --stream nor --max-bytes")
    _warn_of(cassette)
    print_data(upkeep.show(cassette, streams=stream, max_bytes=max_bytes, as_json=as_json))


@commands.command()
def diff(
    a: Annotated[Path, typer.Argument(help="A cassette.", metavar="A")],
    b: Annotated[Path, typer.Argument(help="Another.", metavar="B")],
    as_json: Json = False,
) -> None:
    """Say what differs between two cassettes.

    Exits 1 if anything does.
    """
    from gp_replay import upkeep
    from gp_replay.report.diff import diff_lines, diff_plain

    _warn_of(a, b)
    found = upkeep.diff(a, b)
    print_data([json.dumps(diff_plain(found), indent=2)] if as_json else diff_lines(found))
    leave(0 if found.same else 1)


@commands.command()
def check(
    cassettes: Annotated[list[Path], typer.Argument(help="Cassettes, or folders of them.", metavar="CASSETTE...")],
    contract: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A contract that comes with gp-replay, or a TOML file.")
    ] = "golden-path",
    limit: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--limit", metavar="NAME=SECONDS", help="Another limit in time; may be given several times."),
    ] = None,
    junit: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--junit", metavar="FILE", help="Where to write the findings as JUnit XML."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check conversations against a contract.

    Exits 1 if it is broken; warnings do not break it.
    """
    from gp_replay import upkeep
    from gp_replay.settings import parse_limit

    checked = upkeep.check(cassettes, contract=contract, limits=dict(map(parse_limit, limit or ())), junit=junit)
    print_data([json.dumps(checked.plain(), indent=2)] if as_json else checked.lines())
    _warn_of(*(Path(cassette.path) for cassette in checked.cassettes))
    for cassette in checked.cassettes:
        if cassette.hint:
            say(f"hint: {cassette.path}: {cassette.hint}")
    say(checked.summary)
    leave(checked.exit_code)


@commands.command()
def learn(
    a: Annotated[Path, typer.Argument(help="A cassette; what is learned is about it.", metavar="A")],
    b: Annotated[Path, typer.Argument(help="The same conversation, recorded again.", metavar="B")],
    everything: Annotated[bool, typer.Option("--all", help="Learn words and plain numbers too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be learned.")] = False,
    as_json: Json = False,
) -> None:
    """Learn from two takes what differs from run to run.

    Writes the places of random and time-like values to A's NAME.profile.json, which matching reads. Words, plain
    numbers and what is not always there are listed, and left to the rules in NAME.toml.
    """
    from gp_replay import upkeep

    _warn_of(a, b)
    taught = upkeep.learn(a, b, everything=everything, dry_run=dry_run)
    print_data([json.dumps(taught.plain(), indent=2)] if as_json else taught.lines())
    say(taught.summary)


@commands.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A .gpr, .yaml, .yml or .json file.", metavar="A")],
    target: Annotated[Path, typer.Argument(help="What to write, by its suffix.", metavar="B")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite B.")] = False,
) -> None:
    """Convert to YAML or JSON and back, without loss."""
    from gp_replay import upkeep

    _warn_of(source)
    say(f"wrote {upkeep.convert(source, target, force=force)}")


@commands.command()
def repair(
    part: Annotated[Path, typer.Argument(help="What a recorder that was killed left behind.", metavar="PART")],
) -> None:
    """Make a cassette of a cut-off recording.

    Reads NAME.gpr.part, which stays, and writes NAME.gpr beside it.
    """
    from gp_replay.store import repair as salvage

    result = salvage(part)
    say(f"kept {result.events} events of {result.streams} exchanges and connections, lost {result.lost_bytes} bytes")
    print(result.path)
