"""What a replay did, as a value: served, missed, left unplayed, and what that means for the exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gp_replay.core.matching import Refusal

__all__ = ["CassetteUsed", "Receipt"]

_NAMED = 5
"""Namespaces a verdict names."""


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
        repeated: recordings that answered again (polls, or as asked for), and how often.
        faults: text of each that happened, to which recording, and how often.
        wanted: texts of those that were to happen, in any namespace.
        notes: what clients said too early, where a fault held a message back.
        live: requests that no recording answered and an upstream did, with where they went.
        unreachable: what upstreams said that could not be reached; those requests were missed.
        namespaces: the receipt of each, by name, also of those that were removed; the fields above are those of the
            default one, the properties below sum up.
    """

    cassettes: Sequence[CassetteUsed]
    cast: Sequence[tuple[str, str]]
    timing: str
    served: Sequence[str]
    unfinished: Sequence[str]
    missed: Sequence[Refusal]
    unplayed: Sequence[str]
    command_exit: int | None = None
    repeated: Sequence[tuple[str, int]] = ()
    faults: Sequence[tuple[str, str, int]] = ()
    wanted: Sequence[str] = ()
    notes: Sequence[str] = ()
    live: Sequence[str] = ()
    unreachable: Sequence[str] = ()
    namespaces: Mapping[str, Receipt] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """Who answered: ``cassette``, or ``mixed`` as soon as anything was answered live."""
        return "mixed" if any(item.live for item in self._all) else "cassette"

    @property
    def exit_code(self) -> int:
        """1 with a miss in any namespace; 4 when nothing was served in any, or a fault never happened; else 0.

        A test of an outage that never came has checked nothing, so it is no green one. An answer that only a fault gave
        was served for that.
        """
        if any(item.missed for item in self._all):
            return 1
        done = any(item.served or item.faults for item in self._all)
        return 0 if done and not self.never_happened else 4

    @property
    def all_notes(self) -> Sequence[str]:
        """The notes of all namespaces."""
        return [note for item in self._all for note in item.notes]

    @property
    def never_happened(self) -> Sequence[str]:
        """Faults that were to happen and did in no namespace."""
        happened = {text for item in self._all for text, _, _ in item.faults}
        return [text for text in self.wanted if text not in happened]

    @property
    def never_asked(self) -> Sequence[str]:
        """Recordings nobody asked for in any namespace."""
        played = {label for item in self.namespaces.values() for label in item.served}
        return [label for label in self.unplayed if label not in played]

    @property
    def verdict(self) -> str:
        """One line for people."""
        served = sum(len(item.served) for item in self._all)
        missed = sum(len(item.missed) for item in self._all)
        live = sum(len(item.live) for item in self._all)
        early = sum(len(item.unfinished) for item in self._all)
        counts = f"served {served}, missed {missed}, unplayed {len(self.never_asked)}"
        if repeated := sum(times for item in self._all for _, times in item.repeated):
            counts += f", repeated {repeated}"
        if faults := sum(times for item in self._all for _, _, times in item.faults):
            counts += f", faults {faults}"
        if live:
            counts += f", answered live {live}"
        if self.namespaces:
            counts += f", namespaces {len(self.namespaces)}{self._where_missed}"
        if self.unreachable:
            counts += f"; not reachable: {'; '.join(self.unreachable)}"
        if self.never_happened:
            counts += f"; never happened: {', '.join(self.never_happened)}"
        if not served and not missed and not faults:
            why = "no cassette had what was asked" if live else "no client asked"
            return f"nothing was served: {why} ({counts})"
        return counts + (f", {early} left early" if early else "")

    @property
    def _all(self) -> Sequence[Receipt]:
        return (self, *self.namespaces.values())

    @property
    def _where_missed(self) -> str:
        names = [name for name, item in self.namespaces.items() if item.missed]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f" (missed in {', '.join(names[:_NAMED])}{more})" if names else ""

    def plain(self) -> dict[str, object]:
        """As JSON-safe data."""
        return {
            **self._own,
            "command_exit": self.command_exit,
            "source": self.source,
            "timing": self.timing,
            "cast": dict(self.cast),
            "cassettes": [
                {"name": item.name, "path": item.path, "digest": item.digest, "recorded_at": item.recorded_at}
                for item in self.cassettes
            ],
            "unreachable": list(self.unreachable),
            "namespaces": {name: item._own for name, item in self.namespaces.items()},
        }

    @property
    def _own(self) -> dict[str, object]:
        """What a namespace does not have in common with all."""
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "served": list(self.served),
            "unfinished": list(self.unfinished),
            "repeated": dict(self.repeated),
            "missed": [item.plain() for item in self.missed],
            "faults": [{"fault": text, "recording": label, "times": times} for text, label, times in self.faults],
            "never_happened": list(self.never_happened),
            "notes": list(self.notes),
            "live": list(self.live),
            "unplayed": list(self.unplayed),
        }
