"""Finds cassettes in folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from gp_replay.errors import CassetteMissing, CassetteUnfinished
from gp_replay.store.files import PART_SUFFIX, SUFFIX, unreadable

__all__ = ["find_cassettes", "find_unfinished"]


def find_cassettes(paths: Iterable[Path]) -> list[Path]:
    """The cassettes that ``paths`` mean, without opening one.

    Args:
        paths: files, taken as they are given, and folders, searched to any depth for ``*.gpr`` in order of name.
            Names that begin with a dot are passed over: ``.revisions`` holds what was replaced.

    Returns:
        Each file once (two spellings or links of one file are one), in the order given. `find_unfinished` tells what
        was left over beside them.

    Raises:
        CassetteMissing: a path does not exist, or a folder holds no cassette.
        CassetteUnfinished: a ``.part`` was given.
        CassetteCorrupt: a path or a folder may not be looked at.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if _is_folder(path):
            inside = _walk(path, SUFFIX)
            if not inside:
                raise CassetteMissing(str(path))
        elif path.name.endswith(PART_SUFFIX):
            raise CassetteUnfinished(str(path))
        else:
            inside = [path]
        for file in inside:
            found.setdefault(os.path.realpath(file), file)
    return list(found.values())


def find_unfinished(folder: Path) -> list[Path]:
    """Left-over recordings (``*.gpr.part``) in a folder, to any depth, in order of name; none if it does not exist.

    Raises:
        CassetteCorrupt: a folder may not be read.
    """
    return _walk(folder, SUFFIX + PART_SUFFIX) if os.path.isdir(folder) else []


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise CassetteMissing(str(path)) from None
    except OSError as error:
        raise unreadable(str(path), f"it cannot be opened ({error.strerror})") from error
    except ValueError as error:  # a NUL in the name
        raise unreadable(str(path), f"it cannot be opened ({error})") from error


def _walk(folder: Path, suffix: str) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise unreadable(str(error.filename), f"it cannot be opened ({error.strerror})") from error

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if name.endswith(suffix) and not name.startswith(".")]
    return sorted(found)
