"""What a run consumed, read from its evidence: the take of the proxy, the receipt and the cassettes of the replay."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gp_replay.core.model import Protocol, StreamEntry
from gp_replay.report.receipt import CassetteUsed, Receipt
from gp_replay.runs.verdict import Consumed
from gp_replay.store import CassetteFile

__all__ = ["Played", "consumed_from_cassettes", "consumed_live", "recorded_owners"]


@dataclass(slots=True)
class Played:
    """What cassettes answered for one role.

    Attributes:
        consumed: see there.
        cassettes: those that answered, by name.
    """

    consumed: Consumed = field(default_factory=Consumed)
    cassettes: dict[str, CassetteUsed] = field(default_factory=dict)

    def add(self, cassette: CassetteUsed, consumed: Consumed) -> None:
        """One more recording was played."""
        self.cassettes[cassette.name] = cassette
        self.consumed += consumed


def consumed_live(take: Path) -> tuple[Mapping[str, Consumed], str]:
    """What live services answered, by role, and the digest of the take that proves it.

    Raises:
        CassetteError: the take cannot be read.
    """
    with CassetteFile.open(take, verify=False) as cassette:
        consumed: dict[str, Consumed] = defaultdict(Consumed)
        for entry in cassette.footer.entries:
            consumed[entry.role] += _counted(entry, messages=entry.messages)
        return consumed, cassette.digest


def consumed_from_cassettes(receipt: Receipt) -> Mapping[str, Played]:
    """What a replay played, by role, in all namespaces. Messages count where a recording was played to its end.

    Raises:
        CassetteError: a cassette cannot be read any more.
    """
    consumed: dict[str, Played] = defaultdict(Played)
    receipts = (receipt, *receipt.namespaces.values())
    played = Counter(label for item in receipts for label in item.served)
    early = Counter(label for item in receipts for label in item.unfinished)
    for used in receipt.cassettes:
        with CassetteFile.open(Path(used.path), verify=False) as cassette:
            for entry in cassette.footer.entries:
                label = f"{used.name}#{entry.stream}"
                for number in range(played[label]):
                    messages = entry.messages if number >= early[label] else 0
                    consumed[entry.role].add(used, _counted(entry, messages=messages))
    return consumed


def recorded_owners(paths: Iterable[str]) -> Mapping[str, list[str]]:
    """Role to the users that cassettes recorded, in order.

    Raises:
        CassetteError: a cassette cannot be read.
    """
    owners: dict[str, dict[str, None]] = defaultdict(dict)
    for path in paths:
        with CassetteFile.open(Path(path), verify=False) as cassette:
            for entry in cassette.footer.entries:
                if entry.owner is not None:
                    owners[entry.role].setdefault(entry.owner)
    return {role: list(names) for role, names in owners.items()}


def _counted(entry: StreamEntry, *, messages: int) -> Consumed:
    if entry.status == 0:
        return Consumed(unanswered=1)
    if entry.protocol is Protocol.WEBSOCKET and entry.status == 101:
        return Consumed(connections=1, messages=messages)
    return Consumed(exchanges=1)
