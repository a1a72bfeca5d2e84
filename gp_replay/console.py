"""What all commands print with: data goes to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

__all__ = ["Json", "leave", "print_data", "say"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def say(text: str) -> None:
    """Tells a person something."""
    print(text, file=sys.stderr, flush=True)


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
