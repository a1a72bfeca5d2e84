"""What two takes of one conversation teach: the places where clients say something else each time.

Requests and messages of the two takes are paired in recorded order. Where a pair differs, only a value that no person
would say (random-looking, or a time) is learned, and only if both takes have such a one there; words, plain numbers,
and what is there in one take only are reported and left alone, since they may be what decides the answer. What the
canonical form has by its class is equal already.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from gp_replay.core.aligning import align
from gp_replay.core.canonical import Form, body_of, message_form, path_of, request_form
from gp_replay.core.matching import compare, shown
from gp_replay.core.model import Cassette, End, Message, Protocol, RequestHead, Side, StreamEntry
from gp_replay.core.places import Any_, Place, covers
from gp_replay.core.profile import Learned
from gp_replay.core.rules import Rules
from gp_replay.core.ruling import NESTED
from gp_replay.core.shapes import embedded_ids, is_id
from gp_replay.core.volatility import are_mostly_volatile, differ_as_volatile, is_number, is_volatile

__all__ = ["Left", "Lesson", "Reason", "learn"]


_NO_PLACES = frozenset({"method", "path", "opcode"})
"""Parts that always count."""
_FEW = 3
"""So many other words may always be those of the same request; more of them must be at most a third of all it says."""


class Reason(Enum):
    """Why a place is not learned."""

    CONTENT = "content"
    """Words: what a person or a model said, or chose."""
    NUMBER = "number"
    """A plain number, which may count."""
    STRUCTURE = "structure"
    """There in one take only, or of another type."""
    LITERAL = "literal"
    """The rules say that it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A place whose values differ and that was not learned."""

    place: Learned
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What two takes taught.

    Attributes:
        learned: volatile places, in the order of first sight.
        left: the others that differ.
        pairs: requests, handshakes and messages that stand for each other.
        alone: how many have no counterpart, in the first take and in the second.
    """

    learned: tuple[Learned, ...]
    left: tuple[Left, ...]
    pairs: int
    alone: tuple[int, int]


@dataclass(slots=True)
class _Sight:
    """All differences at one place.

    Attributes:
        pairs: the values.
        against: the first pair that speaks against learning the place, by its reason.
        firmly: some pair does so whatever the others are.
    """

    pairs: list[tuple[object, object]] = field(default_factory=list)
    against: dict[Reason, tuple[object, object]] = field(default_factory=dict)
    firmly: bool = False

    def settle(self) -> None:
        """Random text looks like a word or a number now and then; among enough of its kind that says nothing."""
        if not self.firmly and are_mostly_volatile(value for pair in self.pairs for value in pair):
            self.against.clear()


@dataclass(slots=True)
class _Findings:
    """Differences of one role and path, by place, and the forms they were found in."""

    sights: dict[Place, _Sight] = field(default_factory=dict)
    forms: list[Form] = field(default_factory=list)


class _Tally:
    def __init__(self, rules: Rules, *, everything: bool) -> None:
        self.rules = rules
        self.everything = everything
        self.found: dict[tuple[str, str], _Findings] = {}
        self.pairs = 0
        self.alone = [0, 0]

    def pair(self, ones: Sequence[Form], others: Sequence[Form], *, like: StreamEntry) -> None:
        """Compares requests or messages of one role and path, those of ``like``."""
        path = path_of(like.target)
        found = self.found.setdefault((like.role, _pattern(path)), _Findings())
        literal = self.rules.literals(like.role, path)
        for i, j in align(ones, others, same=lambda form: form.digest, like=_purpose):
            differing = None if i is None or j is None else _differing(ones[i], others[j])
            if i is None or j is None or differing is None:
                self.alone[0] += i is not None
                self.alone[1] += j is not None
                continue
            self.pairs += 1
            found.forms += (ones[i], others[j])
            for place, old, new in differing:
                self._note(found, place, old, new, literal=literal)

    def _note(self, found: _Findings, place: Place, old: object, new: object, *, literal: Iterable[Place]) -> None:
        reason = Reason.LITERAL if any(covers(wide, place) for wide in literal) else _reason(place, old, new)
        sight = found.sights.setdefault(place, _Sight())
        sight.pairs.append((old, new))
        if reason is not None and not (self.everything and reason in (Reason.CONTENT, Reason.NUMBER)):
            sight.against.setdefault(reason, (old, new))
            doubtful = reason in (Reason.CONTENT, Reason.NUMBER) and not are_mostly_volatile((old, new))
            sight.firmly |= not doubtful or _is_of_model(place)

    def lesson(self) -> Lesson:
        learned: list[Learned] = []
        left: list[Left] = []
        for (role, path), found in self.found.items():
            for sight in found.sights.values():
                sight.settle()
            places = {place: sight for place, sight in found.sights.items() if not sight.against}
            for place, sights in _generalised(places, found, everything=self.everything):
                learned.append(_learned(place, sights, role, path))
            for place, sight in found.sights.items():
                for reason, values in [*sight.against.items()][:1]:
                    left.append(Left(place=_learned(place, [sight], role, path, values), reason=reason))
        return Lesson(learned=tuple(learned), left=tuple(left), pairs=self.pairs, alone=(self.alone[0], self.alone[1]))


def learn(a: Cassette, b: Cassette, rules: Rules, *, everything: bool = False) -> Lesson:
    """Compares what the clients of two takes said.

    Args:
        a, b: takes of the same conversation, in whatever part of it they overlap.
        rules: of the first one; what they say is volatile is no finding, and what is literal is not learned.
        everything: also learn where words and plain numbers differ.
    """
    tally = _Tally(rules, everything=everything)
    groups: dict[Hashable, tuple[list[StreamEntry], list[StreamEntry]]] = {}
    for which, cassette in enumerate((a, b)):
        for entry in cassette.footer.entries:
            if entry.method:
                groups.setdefault(_group(entry), ([], []))[which].append(entry)
    for ones, others in groups.values():
        first = (ones or others)[0]
        requests = [_requests(cassette, entries, rules) for cassette, entries in ((a, ones), (b, others))]
        forms = [[form for _, form in found] for found in requests]
        tally.pair(forms[0], forms[1], like=first)
        if first.protocol is Protocol.HTTP:
            continue
        for i, j in align(forms[0], forms[1], same=lambda form: form.digest, like=lambda _: None):
            said = [] if i is None else _messages(a, requests[0][i][0], rules)
            tally.pair(said, [] if j is None else _messages(b, requests[1][j][0], rules), like=first)
    return tally.lesson()


def _differing(one: Form, other: Form) -> list[tuple[Place, object, object]] | None:
    """Where two requests or messages differ that are otherwise the same; None if they are not."""
    if one.digest == other.digest:
        return []
    if _purpose(one) != _purpose(other):
        return None
    found = [item for item in compare((), one.plain, other.plain) if item[0][0] not in _NO_PLACES]
    other_words = sum(_reason(*item) is not None for item in found)
    return None if other_words > _FEW and other_words * 3 > sum(1 for _ in _leaves(one.plain)) else found


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _group(entry: StreamEntry) -> Hashable:
    owner = "<id>" if entry.owner is not None and is_id(entry.owner) else entry.owner
    return entry.protocol, entry.role, owner, entry.method, _pattern(path_of(entry.target))


def _pattern(path: str) -> str:
    """The path with ``*`` for the ids in it, as rules have it."""
    parts, position = [], 0
    for start, end in embedded_ids(path):
        parts += [path[position:start], "*"]
        position = end
    return "/".join("*" if is_id(part) else part for part in "".join([*parts, path[position:]]).split("/"))


def _requests(cassette: Cassette, entries: Iterable[StreamEntry], rules: Rules) -> list[tuple[StreamEntry, Form]]:
    """The requests that are whole, with their forms, in recorded order."""
    found: list[tuple[StreamEntry, Form]] = []
    for entry in entries:
        events = [event for event in cassette.events(entry.stream) if event.side is Side.CLIENT]
        head = next((event for event in events if isinstance(event, RequestHead)), None)
        if head is not None and (entry.protocol is Protocol.WEBSOCKET or any(isinstance(e, End) for e in events)):
            found.append((entry, request_form(head, body_of(events), role=entry.role, rules=rules)))
    return found


def _messages(cassette: Cassette, entry: StreamEntry, rules: Rules) -> list[Form]:
    return [
        message_form(event, role=entry.role, path=path_of(entry.target), rules=rules)
        for event in cassette.events(entry.stream)
        if isinstance(event, Message) and event.side is Side.CLIENT
    ]


_PURPOSES = ("type", "event", "method", "op", "action", "kind", "command", "cmd")


def _purpose(form: Form) -> Hashable:
    """What kind of request or message it is, by the fields that usually say so."""
    return _purpose_of(form.plain.get("message", form.plain.get("body")))


def _purpose_of(value: object) -> Hashable:
    if isinstance(value, Mapping) and NESTED in value:
        return value.get("prefix"), _purpose_of(value[NESTED])
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value[0], _purpose_of(value[1]) if len(value) > 1 else None
    if isinstance(value, Mapping):
        return tuple((name, value[name]) for name in _PURPOSES if isinstance(value.get(name), str))
    return type(value).__name__


def _reason(place: Place, old: object, new: object) -> Reason | None:
    """Why a difference is no volatile value; None if it is one."""
    if isinstance(old, str) and isinstance(new, str):
        if not _is_of_model(place) and differ_as_volatile(old, new):
            return None
        return Reason.NUMBER if is_number(old) and is_number(new) else Reason.CONTENT
    if isinstance(old, bool) and isinstance(new, bool):
        return Reason.CONTENT
    if isinstance(old, int | float) and isinstance(new, int | float) and bool not in (type(old), type(new)):
        return None if is_volatile(repr(old)) and is_volatile(repr(new)) else Reason.NUMBER
    return Reason.STRUCTURE


def _is_of_model(place: Place) -> bool:
    names = [step for step in place if isinstance(step, str)]
    return names[-1].lower().endswith("model")


def _learned(
    place: Place, sights: Sequence[_Sight], role: str, path: str, values: tuple[object, object] | None = None
) -> Learned:
    one, other = values or sights[0].pairs[0]
    seen = sum(len(sight.pairs) for sight in sights)
    return Learned(at=place, role=role, path=path, seen=seen, examples=(shown(one), shown(other)))


def _generalised(
    places: Mapping[Place, _Sight], found: _Findings, *, everything: bool
) -> Iterator[tuple[Place, list[_Sight]]]:
    """Places that differ in the number of an element only, as one place with ``[*]``, where nothing speaks against it.

    What speaks against it: a value in any of the forms at that place that would not have been learned by itself.
    """
    alike: dict[Place, list[Place]] = {}
    for place in places:
        alike.setdefault(tuple(Any_.ELEMENT if isinstance(step, int) else step for step in place), []).append(place)
    for group in alike.values():
        steps = [set(column) for column in zip(*group, strict=True)]
        wide: Place = tuple(
            Any_.ELEMENT if len(column) > 1 else step for step, column in zip(group[0], steps, strict=True)
        )
        left = any(covers(wide, place) for place, sight in found.sights.items() if sight.against)
        values = (value for form in found.forms for value in _values(form.plain, wide))
        if len(group) > 1 and not left and (everything or are_mostly_volatile(values)):
            yield wide, [places[place] for place in group]
        else:
            yield from ((place, [places[place]]) for place in group)


def _values(value: object, place: Place) -> Iterator[object]:
    """What stands at a place of a form."""
    if not place:
        yield value
        return
    step, rest = place[0], place[1:]
    if isinstance(value, list):
        if step is Any_.ELEMENT:
            for item in value:
                yield from _values(item, rest)
        elif isinstance(step, int) and step < len(value):
            yield from _values(value[step], rest)
    elif isinstance(value, Mapping):
        name = NESTED if step is Any_.JSON else step
        if name in value:
            yield from _values(value[name], rest)
