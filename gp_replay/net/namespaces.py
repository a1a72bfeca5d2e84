"""Namespaces: play states of their own over the same cassettes, so that tests in parallel do not take each other's.

::

    create ──► known, no stage yet ──► first request or look: its stage ──► remove: connections end, its tally stays
    again    a name that was removed may come back; it begins anew, and what both did is one line of the receipt
    unknown  a request for a name that is not there is refused, and counts where no name leads: the default namespace
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from gp_replay.core.acts import Tally
from gp_replay.core.canonical import path_of
from gp_replay.core.http1 import RequestLine
from gp_replay.core.matching import Refusal
from gp_replay.core.routing import is_namespace, origin_form, split_namespace
from gp_replay.errors import UsageError
from gp_replay.net.stage import Stage

__all__ = ["EARLIER", "MAX_NAMESPACES", "Namespace", "Namespaces", "merged"]

K = TypeVar("K")

MAX_NAMESPACES = 10_000
"""At one time. As many removed ones are remembered by name."""

EARLIER = "(earlier)"
"""What removed namespaces are called together that are too many to remember; no name a namespace may have."""

_MAX_MISSED = 10_000
"""Refusals kept of one name; who makes a namespace again for ever must not fill the memory."""


class Namespace:
    """One play state by its name. The stage is made when it is first needed.

    Args:
        name: as in ``/~NAME/…``; "" for the default one.
        make_stage: makes a stage for a name.
        blank: the tally of a stage nobody used.
    """

    def __init__(self, name: str, make_stage: Callable[[str], Stage], blank: Tally) -> None:
        self.name = name
        self._make_stage = make_stage
        self._blank = blank
        self._stage: Stage | None = None
        self._final: Tally | None = None

    @property
    def stage(self) -> Stage:
        """Its stage, from now on."""
        if self._stage is None:
            self._stage = self._make_stage(self.name)
        return self._stage

    @property
    def tally(self) -> Tally:
        """What was served, missed and left unplayed so far; after `end`, until then."""
        if self._final is not None:
            return self._final
        return self._blank if self._stage is None else self._stage.player.tally

    def close(self) -> None:
        """Nothing is due any more. Whose connections end later still count."""
        if self._stage is not None:
            self._stage.close()

    def end(self) -> None:
        """Ends its connections, too; the tally is final."""
        self.close()
        if self._stage is not None:
            self._stage.drop_all()
        self._final = self.tally
        self._stage = None


class Namespaces:
    """All play states of one server.

    Args:
        make_stage: makes a stage for a name; None where there is only the default one, and ``/~NAME/`` is a path.
        default: for requests that name no namespace; nothing was played on it yet.
    """

    def __init__(self, make_stage: Callable[[str], Stage] | None, *, default: Stage) -> None:
        self.default = default
        self._make_stage = make_stage
        self._known: dict[str, Namespace] = {}
        self._removed: dict[str, Tally] = {}
        self._blank = default.player.tally

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __getitem__(self, name: str) -> Namespace:
        """The one of this name.

        Raises:
            UsageError: there is none.
        """
        if name not in self._known:
            raise UsageError(f"there is no namespace {name!r}", hint="it may have been removed, or never created")
        return self._known[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are there, in the order they were made."""
        return tuple(self._known)

    def create(self, name: str) -> Namespace:
        """A new one.

        Raises:
            UsageError: no name for one, it is there already, there are too many, or this server has none.
        """
        if not is_namespace(name):
            hint = "1 to 63 letters, digits, - _ and . with no dot first"
            raise UsageError(f"{name!r} is no name for a namespace", hint=hint)
        if name in self._known:
            raise UsageError(f"namespace {name!r} is there already", hint="remove it first, or take another name")
        if len(self._known) >= MAX_NAMESPACES:
            raise UsageError(f"there are {MAX_NAMESPACES} namespaces already", hint="remove those that are done")
        if self._make_stage is None:
            raise UsageError("only a replay has namespaces")
        self._known[name] = Namespace(name, self._make_stage, self._blank)
        return self._known[name]

    def remove(self, name: str) -> Tally:
        """Ends one.

        Returns:
            What it came to.

        Raises:
            UsageError: there is none.
        """
        namespace = self[name]
        namespace.end()
        del self._known[name]
        before = self._removed.pop(name, None)
        self._removed[name] = merged(before, namespace.tally)
        if len(self._removed) > MAX_NAMESPACES:
            oldest = next(item for item in self._removed if item != EARLIER)
            self._removed[EARLIER] = merged(self._removed.get(EARLIER), self._removed.pop(oldest))
        return namespace.tally

    def route(self, target: bytes) -> tuple[str | None, bytes]:
        """The namespace a target names and the target as that one sees it."""
        return (None, target) if self._make_stage is None else split_namespace(target)

    def stage(self, name: str | None) -> Stage | None:
        """Where a request for ``name`` is played; None where there is no such namespace."""
        if name is None:
            return self.default
        namespace = self._known.get(name)
        return None if namespace is None else namespace.stage

    def unknown(self, name: str, line: RequestLine) -> Refusal:
        """Refuses a request for a namespace that is not there; it counts in the default one."""
        asked = f"{line.method.decode('latin-1')} {path_of(origin_form(line.target))}"
        gone = "it was removed" if name in self._removed else "nobody created it"
        refusal = Refusal(
            kind="namespace",
            reason=f"{asked}: there is no namespace {name}, {gone}",
            close_code=4404,
            hint=f"create it first: POST /_gp_replay/namespaces/{name}",
        )
        self.default.player.refuse(refusal)
        return refusal

    def tallies(self) -> Mapping[str, Tally]:
        """By name, all that are or were there; the default one's is ""."""
        found = {"": self.default.player.tally, **self._removed}
        for name, namespace in list(self._known.items()):
            found[name] = merged(found.get(name), namespace.tally)
        return found

    def close(self) -> None:
        """Nothing is due any more in any of them; their tallies stay."""
        self.default.close()
        for namespace in self._known.values():
            namespace.close()


def merged(before: Tally | None, tally: Tally) -> Tally:
    """What two play states of the same recordings did together."""
    if before is None:
        return tally
    played = frozenset(before.served)
    return replace(
        tally,
        served=before.served + tuple(label for label in tally.served if label not in played),
        unfinished=tuple(dict.fromkeys(before.unfinished + tally.unfinished)),
        missed=(before.missed + tally.missed)[:_MAX_MISSED],
        unplayed=tuple(label for label in tally.unplayed if label not in played),
        repeated=_sum(before.repeated, tally.repeated),
        faults=tuple((*what, times) for what, times in _sum(*(_counted(item.faults) for item in (before, tally)))),
        notes=tuple(dict.fromkeys(before.notes + tally.notes)),
    )


def _sum(*counts: Iterable[tuple[K, int]]) -> tuple[tuple[K, int], ...]:
    total: dict[K, int] = {}
    for label, times in (pair for count in counts for pair in count):
        total[label] = total.get(label, 0) + times
    return tuple(total.items())


def _counted(faults: Iterable[tuple[str, str, int]]) -> Iterable[tuple[tuple[str, str], int]]:
    return (((text, label), times) for text, label, times in faults)
