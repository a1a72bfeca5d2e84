"""What a replay did, as a value: served, missed, left unplayed, and what that means for the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gp_replay.core.matching import Refusal

__all__ = ["CassetteUsed", "Receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CassetteUsed:
    """One cassette of a replay.

    Attributes:
        name: what labels call it.
        path: where it was.
        digest: of its bytes, hex.
        recorded_at: ISO 8601.
    """

    name: str
    path: str
    digest: str
    recorded_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """See the module. Labels are ``NAME#stream``.

    Attributes:
        cassettes: in order.
        cast: role and part.
        timing: as given.
        served: recordings played, to the end or not.
        unfinished: those whose client left early.
        missed: refusals.
        unplayed: recordings nobody asked for.
        command_exit: of ``-- COMMAND``, or None.
        live: requests that no recording answered and an upstream did, with where they went.
        unreachable: what upstreams said that could not be reached; those requests were missed.
    """

    cassettes: Sequence[CassetteUsed]
    cast: Sequence[tuple[str, str]]
    timing: str
    served: Sequence[str]
    unfinished: Sequence[str]
    missed: Sequence[Refusal]
    unplayed: Sequence[str]
    command_exit: int | None = None
    live: Sequence[str] = ()
    unreachable: Sequence[str] = ()

    @property
    def source(self) -> str:
        """Who answered: ``cassette``, or ``mixed`` as soon as anything was answered live."""
        return "mixed" if self.live else "cassette"

    @property
    def exit_code(self) -> int:
        """1 with a miss, 4 when nothing was served, else 0."""
        if self.missed:
            return 1
        return 0 if self.served else 4

    @property
    def verdict(self) -> str:
        """One line for people."""
        counts = f"served {len(self.served)}, missed {len(self.missed)}, unplayed {len(self.unplayed)}"
        if self.live:
            counts += f", answered live {len(self.live)}"
        if self.unreachable:
            counts += f"; not reachable: {'; '.join(self.unreachable)}"
        if not self.served and not self.missed:
            why = "no cassette had what was asked" if self.live else "no client asked"
            return f"nothing was served: {why} ({counts})"
        return counts + (f", {len(self.unfinished)} left early" if self.unfinished else "")

    def plain(self) -> dict[str, object]:
        """As JSON-safe data."""
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "command_exit": self.command_exit,
            "source": self.source,
            "timing": self.timing,
            "cast": dict(self.cast),
            "cassettes": [
                {"name": item.name, "path": item.path, "digest": item.digest, "recorded_at": item.recorded_at}
                for item in self.cassettes
            ],
            "served": list(self.served),
            "unfinished": list(self.unfinished),
            "missed": [item.plain() for item in self.missed],
            "live": list(self.live),
            "unreachable": list(self.unreachable),
            "unplayed": list(self.unplayed),
        }
