"""What all commands print with: data goes to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

__all__ = ["Json", "leave", "print_data", "say", "shout"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def say(text: str) -> None:
    """Tells a person something."""
    print(text, file=sys.stderr, flush=True)


def shout(text: str) -> None:
    """Tells a person something that must not be overlooked: in bold on a terminal, unless ``NO_COLOR`` is set."""
    bold = sys.stderr.isatty() and not os.environ.get("NO_COLOR")  # https://no-color.org
    say(f"\x1b[1m{text}\x1b[0m" if bold else text)


def print_data(lines: Iterable[str]) -> None:
    """Prints data; a reader who has seen enough (``| head``) is no error."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered must not fail when the interpreter exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(code: int) -> None:
    """Ends a command with an exit code; 0 lets it go on to its own end."""
    if code:
        raise typer.Exit(code)
