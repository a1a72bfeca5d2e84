"""Contracts as TOML, and what is wrong with one. This is the vocabulary; ``golden-path.toml`` beside it is an example.

::

    name = "orders"                     # required
    title = "…"
    type = "type|event"                 # members that say what a message is
    envelopes = ["flat", "data"]        # where fields stand: flat, or a dotted place

    [fields]                            # what messages carry, at any of these places
    order = "order_id|order.id"

    [events.order_placed]               # an event; its types default to its name
    types = ["order_placed", "placed"]
    from = "server"                     # or client
    in_run = true                       # it belongs to a run
    ambient = true                      # or it is outside the story
    is_error = true                     # or it says that something failed
    error = ["order_id", "total|sum unless reason"]     # fields it must carry; also: warning, note, optional

    [[rules]]                           # grammar, in the scope of a connection or of one value of a field
    event = "order_placed"
    per = "order"
    first = true                        # last; around = events that may stand before the first, after the last
    at_least = 1                        # at_most; 0 forbids it
    after = ["cart_filled"]             # before = events that must not have come yet
    level = "error"

    [[pairings]]                        # by key, or by name in order if one of the two has no key
    opens = "payment_started"
    closes = "payment_ended"
    key = "payment"
    name = "method"

    [run]                               # key, by, opens, closes, fails, asks, same, once_by: see contract.Runs
    [limits.answer]                     # start and end: events, "opened", "run"; see contract.Limit
    start = "opened"
    end = "order_placed"
    seconds = 2

    [handshake]                         # welcome, probes, connection, error, phrases: see contract.Handshake
    [isolation]                         # owner, own, common, marker_characters: see contract.Isolation
    [overwritten]                       # signs: fields that give away an event whose type was overwritten
    [shapes]                            # envelope, alias: levels of a shape that changes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gp_replay.contracts.contract import (
    Contract,
    EventType,
    Field,
    Handshake,
    Isolation,
    Limit,
    Pairing,
    Path,
    Rule,
    Runs,
    Wanted,
)
from gp_replay.contracts.findings import Level
from gp_replay.contracts.limits import OPENED, RUN
from gp_replay.contracts.tables import LEVELS, Table
from gp_replay.core.model import Side
from gp_replay.errors import UsageError

__all__ = ["contract_from"]

_CONNECTION = "connection"
_FLAT = "flat"
_SIDES = {"server": Side.SERVER, "client": Side.CLIENT}


def contract_from(plain: Mapping[str, object], *, source: str) -> Contract:
    """The contract in a parsed TOML file.

    Args:
        plain: its top level.
        source: what to call it in errors.

    Raises:
        UsageError: an unknown key, a wrong type, a name that stands for nothing, or a contract that can never hold.
    """
    return _Reading(source).contract(Table(plain, source))


class _Reading:
    """Reads one contract."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._fields: dict[str, Field] = {}
        self._events: dict[str, EventType] = {}

    def contract(self, table: Table) -> Contract:
        table.only(
            *("name", "title", "type", "envelopes", "fields", "events", "rules", "pairings", "run", "limits"),
            *("handshake", "isolation", "overwritten", "shapes"),
        )
        name = table.text("name")
        fields = table.table("fields")
        self._fields = {key: self._field(key, fields.text(key), fields, key) for key in fields.names()}
        self._read_events(table.table("events"))
        rules = tuple(self._rule(each) for each in table.tables("rules"))
        _hold(rules, self._source)
        runs = self._runs(table.table("run")) if table.has("run") else None
        self._check_runs(table, runs)
        shapes, overwritten, limits = table.table("shapes"), table.table("overwritten"), table.table("limits")
        shapes.only("envelope", "alias")
        overwritten.only("signs")
        return Contract(
            name=name,
            title=table.text("title", ""),
            type_names=tuple(table.text("type", "type").split("|")),
            envelopes=tuple(
                () if place == _FLAT else tuple(place.split(".")) for place in table.texts("envelopes", (_FLAT,))
            ),
            fields=self._fields,
            events=tuple(self._events.values()),
            rules=rules,
            pairings=tuple(self._pairing(each) for each in table.tables("pairings")),
            limits=tuple(self._limit(key, limits.table(key), runs) for key in limits.names()),
            runs=runs,
            handshake=self._handshake(table.table("handshake")) if table.has("handshake") else None,
            isolation=self._isolation(table.table("isolation")) if table.has("isolation") else None,
            signs=tuple(self._field(text, text, overwritten, "signs") for text in overwritten.texts("signs")),
            envelope_level=shapes.level("envelope", Level.ERROR),
            alias_level=shapes.level("alias", Level.WARNING),
        )

    def _read_events(self, table: Table) -> None:
        if not table.names():
            raise UsageError(f"{self._source}: there are no events", hint="add at least one, as [events.NAME]")
        taken: dict[tuple[Side, str], str] = {}
        for name in table.names():
            event = self._events[name] = self._event(name, table.table(name))
            for kind in event.types:
                other = taken.setdefault((event.side, kind), name)
                if other != name:
                    table.wrong(name, f"has type {kind!r}, which is {other}'s", hint="a type means one event")

    def _event(self, name: str, table: Table) -> EventType:
        table.only("types", "from", "in_run", "ambient", "is_error", *LEVELS, "optional")
        side = table.text("from", "server")
        if side not in _SIDES:
            table.wrong("from", f"is {side!r}", hint="it is server or client")
        wanted = [
            self._wanted(text, table, key, LEVELS.get(key))
            for key in (*LEVELS, "optional")
            for text in table.texts(key)
        ]
        return EventType(
            name=name,
            types=table.texts("types", (name,)),
            side=_SIDES[side],
            wanted=tuple(wanted),
            in_run=table.flag("in_run"),
            ambient=table.flag("ambient"),
            is_error=table.flag("is_error"),
        )

    def _wanted(self, text: str, table: Table, key: str, level: Level | None) -> Wanted:
        places, _, excuses = text.partition(" unless ")
        return Wanted(
            field=self._field(places, places, table, key),
            level=level,
            unless=_paths(excuses, table, key) if excuses else (),
        )

    def _field(self, name: str, places: str, table: Table, key: str) -> Field:
        return Field(name=name, paths=_paths(places, table, key))

    def _known_field(self, table: Table, key: str) -> Field:
        name = table.text(key)
        if name not in self._fields:
            table.wrong(
                key, f"names the unknown field {name!r}", hint=f"add it to [fields], or name {_some(self._fields)}"
            )
        return self._fields[name]

    def _known_event(self, table: Table, key: str) -> str:
        return self._known(table.text(key), table, key)

    def _known_events(self, table: Table, key: str) -> tuple[str, ...]:
        return tuple(self._known(name, table, key) for name in table.texts(key))

    def _known(self, name: str, table: Table, key: str) -> str:
        if name not in self._events:
            table.wrong(
                key, f"names the unknown event {name!r}", hint=f"add [events.{name}], or name {_some(self._events)}"
            )
        return name

    def _rule(self, table: Table) -> Rule:
        table.only("event", "per", "first", "last", "around", "at_least", "at_most", "after", "before", "level")
        per = table.text("per", _CONNECTION)
        if per != _CONNECTION and per not in self._fields:
            hint = f"it is {_CONNECTION}, or one of [fields]: {_some(self._fields)}"
            table.wrong("per", f"is {per!r}", hint=hint)
        rule = Rule(
            event=self._known_event(table, "event"),
            per=per,
            first=table.flag("first"),
            last=table.flag("last"),
            around=frozenset(self._known_events(table, "around")),
            at_least=table.count("at_least", 0),
            at_most=table.count("at_most", 0) if table.has("at_most") else None,
            after=self._known_events(table, "after"),
            before=self._known_events(table, "before"),
            level=table.level("level", Level.ERROR),
        )
        if not (rule.first or rule.last or rule.at_least or rule.at_most is not None or rule.after or rule.before):
            hint = "add first, last, at_least, at_most, after or before"
            raise UsageError(f"{table.where} says nothing about {rule.event}", hint=hint)
        both = set(rule.after) & {*rule.before, rule.event}
        if both:
            table.wrong(
                "after", f"names {min(both)}, so it can never hold", hint="an event is before another or after it"
            )
        return rule

    def _pairing(self, table: Table) -> Pairing:
        table.only("opens", "closes", "key", "name", "level")
        opens, closes = self._known_event(table, "opens"), self._known_event(table, "closes")
        if opens == closes:
            table.wrong("closes", f"is {closes!r}, as opens", hint="a pair has two events")
        return Pairing(
            opens=opens,
            closes=closes,
            key=self._known_field(table, "key"),
            name=self._known_field(table, "name"),
            level=table.level("level", Level.ERROR),
        )

    def _runs(self, table: Table) -> Runs:
        table.only("key", "by", "opens", "closes", "fails", "asks", "same", "once_by")
        same = table.texts("same")
        for name in same:
            if name not in self._fields:
                table.wrong("same", f"names the unknown field {name!r}", hint=f"it names some of {_some(self._fields)}")
        opens, closes = self._known_event(table, "opens"), self._known_event(table, "closes")
        for key, name in (("opens", opens), ("closes", closes)):
            if not self._events[name].in_run:
                table.wrong(key, f"is {name!r}, which belongs to no run", hint=f"add in_run = true to [events.{name}]")
        return Runs(
            key=self._known_field(table, "key"),
            by=self._known_field(table, "by"),
            opens=opens,
            closes=closes,
            fails=frozenset(self._known_events(table, "fails")),
            asks=frozenset(self._known_events(table, "asks")),
            same=tuple(self._fields[name] for name in same),
            once_by=tuple(tuple(text.split(".")) for text in table.texts("once_by")),
        )

    def _check_runs(self, table: Table, runs: Runs | None) -> None:
        in_run = [name for name, event in self._events.items() if event.in_run]
        if runs is None and (in_run or table.tables("pairings")):
            what = f"events.{in_run[0]}.in_run" if in_run else "pairings"
            table.wrong(what, "needs a run", hint="add [run] with key, by, opens and closes")

    def _limit(self, name: str, table: Table, runs: Runs | None) -> Limit:
        table.only("start", "end", "seconds", "level")
        start, end = table.text("start", ""), table.text("end")
        for key, value, others in (("start", start, ("", OPENED, RUN)), ("end", end, (RUN,))):
            if value not in others:
                self._known(value, table, key)
            if value == RUN and runs is None:
                table.wrong(key, "needs a run", hint="add [run] with key, by, opens and closes")
        if end != RUN and start in ("", RUN):
            table.wrong("start", f"is {start!r}", hint=f"it is an event or {OPENED}, where end is an event")
        seconds = table.seconds("seconds")
        level = table.level("level", Level.ERROR)
        return Limit(name=name, start=start, end=end, max_us=round(seconds * 1_000_000), level=level)

    def _handshake(self, table: Table) -> Handshake:
        table.only("welcome", "probes", "connection", *LEVELS, "phrases")
        wanted = [self._wanted(text, table, key, level) for key, level in LEVELS.items() for text in table.texts(key)]
        return Handshake(
            welcome=self._known_event(table, "welcome"),
            probes=frozenset(self._known_events(table, "probes")),
            connection=self._known_field(table, "connection"),
            wanted=tuple(wanted),
            phrases=tuple(phrase.lower() for phrase in table.texts("phrases")),
        )

    def _isolation(self, table: Table) -> Isolation:
        table.only("owner", "own", "common", "marker_characters")
        own, common = frozenset(table.texts("own")), frozenset(table.texts("common"))
        if own & common:
            table.wrong("common", f"names {min(own & common)}, as own", hint="an id is an owner's or everybody's")
        return Isolation(
            owner=self._known_field(table, "owner"),
            own=own,
            common=common,
            marker_characters=max(1, table.count("marker_characters", 12)),
        )


def _hold(rules: Iterable[Rule], source: str) -> None:
    """Refuses rules that no conversation can keep.

    Raises:
        UsageError: two of them exclude each other.
    """
    merged: dict[tuple[str, str], Rule] = {}
    placed: dict[tuple[str, str], str] = {}
    for rule in rules:
        where = f"{source}: rules: {rule.event} per {rule.per}"
        known = merged.get((rule.event, rule.per), rule)
        most = [bound for bound in (rule.at_most, known.at_most) if bound is not None]
        both = replace(rule, at_least=max(rule.at_least, known.at_least), at_most=min(most) if most else None)
        merged[rule.event, rule.per] = both
        if both.at_most is not None and both.at_least > both.at_most:
            if both.at_most == 0:
                raise UsageError(f"{where} is required and forbidden", hint="drop at_least, or at_most = 0")
            problem = f"at_least {both.at_least} is over at_most {both.at_most}"
            raise UsageError(f"{where}: {problem}", hint="lower at_least, or raise at_most")
        for what, is_so in (("first", rule.first), ("last", rule.last)):
            other = placed.setdefault((what, rule.per), rule.event) if is_so else rule.event
            if other != rule.event and rule.event not in rule.around:
                raise UsageError(f"{where} is {what}, and so is {other}", hint="only one event can be")
    for (event, per), rule in merged.items():
        for name in rule.after:
            needed = merged.get((name, per))
            if rule.at_least and needed is not None and needed.at_most == 0:
                raise UsageError(
                    f"{source}: rules: {event} per {per} is required after {name}, which is forbidden",
                    hint=f"allow {name}, or do not require {event}",
                )


def _paths(text: str, table: Table, key: str) -> tuple[Path, ...]:
    paths = tuple(tuple(place.split(".")) for place in text.split("|"))
    if any(not name or name != name.strip() for path in paths for name in path):
        table.wrong(
            key, f"has {text!r}", hint="places are names joined by dots, aliases joined by |: agent_name|meta.agent"
        )
    return paths


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:8]) + (", …" if len(listed) > 8 else "") if listed else "one of them"
