"""The terms of a play: everything a person may choose about how recordings are played."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gp_replay.core.faults import Fault
from gp_replay.core.timing import Pace

__all__ = ["PATIENCE_US", "OnRepeat", "Terms"]

PATIENCE_US = 10_000_000


class OnRepeat(Enum):
    """What a request gets whose every recording was used. Polls repeat their last answer in any case."""

    REFUSE = "refuse"
    LAST = "last"
    CYCLE = "cycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """See the module.

    Attributes:
        pace: how recorded distances become live ones.
        patience_us: how long to wait for a cue beyond its recorded distance.
        fresh_ids: ids that we say first are new ones; else as recorded, unless another client was given them.
        seed: what fresh ids are made from: of cassettes and namespace.
        bind_owners: a live owner nobody recorded may take a recorded one whose content matches.
        on_repeat: see there.
        rebase: recorded times are moved to when they are said.
        faults: that go wrong.
        started_us: microseconds since 1970 when the play began; the shell sets it.
    """

    pace: Pace = field(default_factory=Pace)
    patience_us: int = PATIENCE_US
    fresh_ids: bool = False
    seed: bytes = b""
    bind_owners: bool = False
    on_repeat: OnRepeat = OnRepeat.REFUSE
    rebase: bool = False
    faults: tuple[Fault, ...] = ()
    started_us: int = 0
