"""A contract as values. `gp_replay.contracts.contract_reading` makes one of TOML and says what the keys mean."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gp_replay.contracts.findings import Level
from gp_replay.core.model import Side

__all__ = [
    "Contract",
    "EventType",
    "Field",
    "Handshake",
    "Isolation",
    "Limit",
    "Pairing",
    "Path",
    "Rule",
    "Runs",
    "Wanted",
]

Path = tuple[str, ...]
"""Names of members, from the outside in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Something a message carries, by whatever name: the paths it is found at, the preferred one first."""

    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A field of an event.

    Attributes:
        field: which.
        level: of its absence, or None where it may be absent (only its spelling is watched).
        unless: paths that excuse its absence, like the error of a failed tool.
    """

    field: Field
    level: Level | None
    unless: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A kind of message.

    Attributes:
        name: what the contract calls it.
        types: values of a message's type that mean it.
        side: who says it.
        wanted: its fields.
        in_run: it belongs to a run.
        ambient: outside the story: heartbeats, pongs.
        is_error: it says that something failed.
    """

    name: str
    types: tuple[str, ...]
    side: Side = Side.SERVER
    wanted: tuple[Wanted, ...] = ()
    in_run: bool = False
    ambient: bool = False
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Grammar of one event within a scope: a connection, or all messages with one value of a field.

    Attributes:
        event: of which event.
        per: ``connection`` or the name of a field.
        first, last: nothing else of the scope comes before or after it, `around` excepted.
        around: events that may stand before a first or after a last one.
        at_least, at_most: how often; None is without limit.
        after: events that must have come before.
        before: events that must not have come yet.
        level: of breaking it.
    """

    event: str
    per: str
    first: bool = False
    last: bool = False
    around: frozenset[str] = frozenset()
    at_least: int = 0
    at_most: int | None = None
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    level: Level = Level.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Each `opens` is followed by one `closes`: by `key`, or by `name` in order if one of the two lacks the key.

    Scope is the run where the contract has runs, else the connection.
    """

    opens: str
    closes: str
    key: Field
    name: Field
    level: Level = Level.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit in time.

    Attributes:
        name: of it.
        start, end: from one event to the next `end` (each an event's name, ``opened``, or ``run`` for the event that
            opens a run); where both are ``run``, between successive events of a run; an empty `start` with end
            ``run`` is a run as a whole.
        max_us: how long.
        level: of being late.
    """

    name: str
    start: str
    end: str
    max_us: int
    level: Level = Level.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What a run is, and how it ends.

    Attributes:
        key: which run a message belongs to.
        by: which agent.
        opens, closes: events; the run ends when the agent that opened it closes, and every agent that opened must.
        fails: errors that end it.
        asks: client events that ask for a run, or are answered with an error.
        same: fields whose values do not change within a run.
        once_by: paths of a stamp; two messages of a run with equal bytes and one of these were delivered twice.
    """

    key: Field
    by: Field
    opens: str
    closes: str
    fails: frozenset[str] = frozenset()
    asks: frozenset[str] = frozenset()
    same: tuple[Field, ...] = ()
    once_by: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What the checks HS-1 to HS-9 need to know.

    Attributes:
        welcome: the event that ends the handshake.
        probes: events that may come before it.
        connection: the field that names the connection.
        wanted: what the welcome must carry.
        phrases: error texts that give the race away, in lower case.
    """

    welcome: str
    probes: frozenset[str] = frozenset()
    connection: Field = Field(name="connection_id", paths=(("connection_id",),))
    wanted: tuple[Wanted, ...] = ()
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What belongs to one owner.

    Attributes:
        owner: the field that names the user.
        own: names of members whose values no two owners share.
        common: names of members that end in ``_id`` and are not an owner's.
        marker_characters: from which length on a client's text is a marker.
    """

    owner: Field
    own: frozenset[str] = frozenset()
    common: frozenset[str] = frozenset()
    marker_characters: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Rules a conversation must keep.

    Attributes:
        name: what it is called.
        title: one line about it.
        type_names: members that say what a message is; the first that is there counts.
        envelopes: where an event's fields stand: ``()`` is flat.
        fields: by name, for all events.
        events: in order.
        rules, pairings, limits: in order.
        runs, handshake, isolation: None where the contract does not speak of them.
        signs: fields that give an event away whose type was overwritten.
        envelope_level, alias_level: of an envelope or a spelling that changes between messages of one type.
    """

    name: str
    title: str = ""
    type_names: tuple[str, ...] = ("type",)
    envelopes: tuple[Path, ...] = ((),)
    fields: dict[str, Field] = field(default_factory=dict)
    events: tuple[EventType, ...] = ()
    rules: tuple[Rule, ...] = ()
    pairings: tuple[Pairing, ...] = ()
    limits: tuple[Limit, ...] = ()
    runs: Runs | None = None
    handshake: Handshake | None = None
    isolation: Isolation | None = None
    signs: tuple[Field, ...] = ()
    envelope_level: Level = Level.ERROR
    alias_level: Level = Level.WARNING

    def with_limits(self, seconds: dict[str, float]) -> Contract:
        """The same with other limits.

        Args:
            seconds: by the limit's name.

        Raises:
            KeyError: there is no such limit.
            ValueError: a negative one.
        """
        known = {limit.name: limit for limit in self.limits}
        for name, value in seconds.items():
            if value < 0:
                raise ValueError(name)
            known[name] = replace(known[name], max_us=round(value * 1_000_000))
        return replace(self, limits=tuple(known.values()))
