"""What a player decides and asks for: the outcomes of opening a stream, and the actions its owner carries out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gp_replay.core.matching import Refusal
from gp_replay.core.model import Event
from gp_replay.core.script import StreamScript

__all__ = ["Action", "Claim", "Open", "Outcome", "Over", "Pending", "Refuse", "Send", "Tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The live stream has its recording.

    Attributes:
        label: ``NAME#stream``.
        script: what is played.
    """

    label: str
    script: StreamScript


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Several recordings are left; ``lead`` is the first of them."""

    cassette: str
    lead: StreamScript


Outcome: TypeAlias = Claim | Pending | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Say this event on the live stream now."""

    live: int
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """End the live stream with this refusal."""

    live: int
    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """Nothing more will be said on the live stream.

    Attributes:
        whole: the recorded conversation had an end. False: it broke off, and what the live side sees must break off
        too.
    """

    live: int
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Open a stream to the live side (only where we play a client's part). Its first `Send` is the request head."""

    live: int
    script: StreamScript


Action: TypeAlias = Open | Send | Refuse | Over


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a play state did so far. Labels are ``NAME#stream``.

    Attributes:
        served: recordings that were played, to the end or not.
        unfinished: those of them whose live client left before the last step.
        missed: refusals, in order.
        unplayed: recordings nobody asked for.
        repeated: recordings that answered again, and how often.
        faults: texts of faults that happened, to which recording, and how often.
        notes: what clients said too early, where a fault held a message back.
    """

    served: tuple[str, ...]
    unfinished: tuple[str, ...]
    missed: tuple[Refusal, ...]
    unplayed: tuple[str, ...]
    repeated: tuple[tuple[str, int], ...] = ()
    faults: tuple[tuple[str, str, int], ...] = ()
    notes: tuple[str, ...] = ()
