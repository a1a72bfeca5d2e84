"""Both ends of a recorded WebSocket conversation, played live in memory: the same scenario, another take of it.

`ScriptedServer` says what the recorded server said, under ids it makes anew and with its deltas cut elsewhere.
`ScriptedClient` says what the recorded client said, under ids of its own, and with the server's ids as it heard them.
Either can be put against the other (`play`) or against the thing under test; what breaks the scenario is `Unexpected`.
Nothing here uses `gp_replay` to tell what an id is: an id is what stands under a member named for one.

Rules::

    server   waits for each recorded client message, in order and equal but for ids; then says what followed it
    client   waits for each recorded server message that is no delta, in order and of the same kind; then says what
             followed it. Deltas may come in any number, where the recording has such deltas
    ids      belong to the side that said them first; each is replaced alike, wherever it stands
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from json import dumps, loads
from random import Random
from string import ascii_letters, digits
from typing import Any, TypeVar
from uuid import UUID

from dialogue import CLIENT, SERVER
from realtime import Said

from gp_replay.core.model import Side

__all__ = [
    "ScriptedClient",
    "ScriptedServer",
    "Unexpected",
    "fresh_id",
    "ids_of",
    "is_delta",
    "kind_of",
    "play",
    "recut",
]

T = TypeVar("T", str, bytes)

_ID_NAME = re.compile(r"id|rid|\w*_id")
_MIN_ID = 8  # "0" is also said under previous_item_id, and stands for nothing.
_PREFIX = re.compile(r"(?:[a-z]+[_-])*")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TURN = ("serverContent", "modelTurn", "parts", 0)
_DELTAS: tuple[tuple[str | int, ...], ...] = (
    ("serverContent", "outputTranscription", "text"),
    ("serverContent", "inputTranscription", "text"),
    (*_TURN, "inlineData", "data"),
    (*_TURN, "text"),
)
_PADDED = 16


class Unexpected(AssertionError):
    """The other side said what the recording has no place for, or has in another way."""


class ScriptedServer:
    """The server's part of one connection.

    Args:
        messages: the recorded conversation, both sides.
        rng: decides the fresh ids and where deltas are cut.
        ids: recorded ids and what stands for them; share one among the connections of a conversation.
    """

    def __init__(self, messages: Iterable[Said], rng: Random, *, ids: dict[str, str] | None = None) -> None:
        self._lines = tuple(messages)
        self._rng = rng
        self._ids = _Ids(self._lines, SERVER, rng, {} if ids is None else ids)
        self._at = 0

    @property
    def done(self) -> bool:
        """Whether everything was said and heard."""
        return self._at == len(self._lines)

    def start(self) -> list[str]:
        """What it says before it hears anything."""
        return self._say()

    def receive(self, text: str) -> list[str]:
        """Hears the next client message; what it says then.

        Raises:
            Unexpected: it is not the recorded one.
        """
        if self.done:
            raise Unexpected(f"after the last message: {text}")
        self._ids.learn(self._lines[self._at].value, loads(text), strict=True)
        self._at += 1
        return self._say()

    def _say(self) -> list[str]:
        said = []
        while not self.done and self._lines[self._at].side is SERVER:
            said.append(self._lines[self._at].value)
            self._at += 1
        return [self._ids.put(_text(value)) for value in recut(said, self._rng)]


class ScriptedClient:
    """The client's part of one connection. Arguments as of `ScriptedServer`."""

    def __init__(self, messages: Iterable[Said], rng: Random, *, ids: dict[str, str] | None = None) -> None:
        self._lines = tuple(messages)
        self._ids = _Ids(self._lines, CLIENT, rng, {} if ids is None else ids)
        said = "".join(line.text for line in self._lines if line.side is CLIENT)
        self._needed = {id for id in self._ids.theirs if id in said}
        self._heard = -1
        self._next = self._next_fixed()

    @property
    def done(self) -> bool:
        """Whether everything was said, and heard but for deltas."""
        return self._next == len(self._lines)

    def start(self) -> list[str]:
        """What it says before it hears anything."""
        return self._say()

    def receive(self, text: str) -> list[str]:
        """Hears one server message; what it says then.

        Raises:
            Unexpected: it is not of the kind that comes next, or an id in it is not the one that was heard before.
        """
        value = loads(text)
        if is_delta(value):
            self._hear_delta(value)
            return []
        if self.done or kind_of(value) != kind_of(self._lines[self._next].value):
            awaited = "nothing" if self.done else kind_of(self._lines[self._next].value)
            raise Unexpected(f"{kind_of(value)} where {awaited} comes next: {text}")
        self._ids.learn(self._lines[self._next].value, value)
        self._heard = self._next
        self._next = self._next_fixed()
        return self._say()

    def _say(self) -> list[str]:
        between = self._lines[self._heard + 1 : self._next]
        return [self._ids.put(line.text) for line in between if line.side is CLIENT]

    def _next_fixed(self) -> int:
        later = range(self._heard + 1, len(self._lines))
        fixed = (n for n in later if self._lines[n].side is SERVER and not is_delta(self._lines[n].value))
        return next(fixed, len(self._lines))

    def _hear_delta(self, value: Any) -> None:
        between = self._lines[self._heard + 1 : self._next]
        recorded = [line.value for line in between if line.side is SERVER]
        alike = [example for example in recorded if kind_of(example) == kind_of(value)]
        if not alike:
            raise Unexpected(f"a delta where none is recorded: {_text(value)}")
        refusals = []
        for example in alike:
            try:
                self._ids.learn(example, value, only=self._needed)
            except Unexpected as refusal:
                refusals.append(refusal)
            else:
                return
        raise refusals[0]


def play(server: ScriptedServer, client: ScriptedClient) -> tuple[Said, ...]:
    """Both against each other until neither says anything; what went over the line, in order."""
    said: list[Said] = []
    to_client, to_server = deque(server.start()), deque(client.start())
    while to_client or to_server:
        if to_client:
            said.append(Said(SERVER, to_client.popleft()))
            to_server += client.receive(said[-1].text)
        else:
            said.append(Said(CLIENT, to_server.popleft()))
            to_client += server.receive(said[-1].text)
    return tuple(said)


def kind_of(value: Any) -> str:
    """What sort of message it is: its ``type``, or the names of its members two levels deep."""
    if "type" in value:
        return str(value["type"])
    return "+".join(".".join([name, *item]) if isinstance(item, dict) else name for name, item in value.items())


def is_delta(value: Any) -> bool:
    """Whether it carries a piece of a text or sound that is cut at will."""
    return _delta_place(value) is not None


def ids_of(messages: Iterable[Said]) -> dict[str, Side]:
    """All ids of a conversation, with the side that said each first."""
    ids: dict[str, Side] = {}
    for message in messages:
        for id in _named_ids(message.value):
            ids.setdefault(id, message.side)
    return ids


def fresh_id(id: str, rng: Random) -> str:
    """Another id of the same make: prefix, length and alphabet stay."""
    if _UUID.fullmatch(id):
        return str(UUID(int=rng.getrandbits(128), version=4))
    prefix = re.match(_PREFIX, id)
    start = prefix.end() if prefix else 0
    rest = id[start:]
    alphabet = digits if rest.isdigit() else "0123456789abcdef" if re.fullmatch("[0-9a-f-]+", rest) else ""
    parts = re.split("([_-])", rest)
    # A part this short is an ordinal ("call-…-0"), not random.
    made = ["".join(rng.choices(alphabet or ascii_letters + digits, k=len(p))) if len(p) > 2 else p for p in parts]
    return id[:start] + "".join(made)


def recut(values: Sequence[Any], rng: Random) -> list[Any]:
    """The same messages with every run of deltas of one thing cut into another number of pieces, one or more."""
    again: list[Any] = []
    for thing, group in groupby(values, key=_thing):
        run = list(group)
        again += run if thing is None else _recut_run(run, rng)
    return again


def _recut_run(run: list[Any], rng: Random) -> list[Any]:
    place = _delta_place(run[0])
    assert place is not None
    if place[-1] == "data" or kind_of(run[0]).endswith("audio.delta"):
        sound = b"".join(b64decode(_at(value, place)) for value in run)
        pieces = [b64encode(piece).decode() for piece in _cut(sound, len(run), rng)]
    else:
        pieces = _cut("".join(_at(value, place) for value in run), len(run), rng)
    made = []
    for number, piece in enumerate(pieces):
        again = min(number, len(run) - 1)
        text = _text(run[again])
        if number > again and "event_id" in run[again]:
            # One message more than was recorded is an event more, and may name itself in other members too.
            text = text.replace(run[again]["event_id"], fresh_id(run[again]["event_id"], rng))
        value = loads(text)
        _at(value, place[:-1])[place[-1]] = piece
        if "obfuscation" in value:
            value["obfuscation"] = "".join(rng.choices(ascii_letters + digits, k=_PADDED - len(piece) % _PADDED))
        made.append(value)
    return made


def _cut(whole: T, usual: int, rng: Random) -> list[T]:
    count = rng.randint(1, 2 * usual)
    cuts: list[int] = sorted(rng.sample(range(1, len(whole)), min(count, len(whole)) - 1)) if whole else []
    return [whole[start:end] for start, end in pairwise([0, *cuts, len(whole)])]


def _thing(value: Any) -> tuple[object, ...] | None:
    if not is_delta(value):
        return None
    return kind_of(value), *(value.get(name) for name in ("item_id", "output_index", "content_index"))


def _delta_place(value: Any) -> tuple[str | int, ...] | None:
    if str(value.get("type", "")).endswith(".delta"):
        return ("delta",)
    for place in _DELTAS:
        if kind_of(value) == ".".join(map(str, place[:2])) and isinstance(_at(value, place), str):
            return place
    return None


def _at(value: Any, place: Sequence[str | int]) -> Any:
    for step in place:
        match value:
            case dict() if step in value:
                value = value[step]
            case list() if isinstance(step, int) and step < len(value):
                value = value[step]
            case _:
                return None
    return value


def _named_ids(value: Any, name: str = "") -> Iterator[str]:
    match value:
        case str() if len(value) >= _MIN_ID and _ID_NAME.fullmatch(name):
            yield value
        case dict():
            for name, item in value.items():
                yield from _named_ids(item, name)
        case list():
            for item in value:
                yield from _named_ids(item, name)


def _text(value: Any) -> str:
    return dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(slots=True, init=False)
class _Ids:
    """The ids of a connection as one side of it knows them: its own are made at once, the others' are learned."""

    theirs: frozenset[str]
    _live: dict[str, str]
    _pattern: re.Pattern[str]

    def __init__(self, lines: Sequence[Said], side: Side, rng: Random, live: dict[str, str]) -> None:
        owners = ids_of(lines)
        self.theirs = frozenset(id for id, owner in owners.items() if owner is not side)
        self._live = live
        for id, owner in owners.items():
            while owner is side and (id not in live or live[id] in owners):
                live[id] = fresh_id(id, rng)
        # The longest first: one id may begin with another.
        self._pattern = re.compile("|".join(re.escape(id) for id in sorted(owners, key=len, reverse=True)) or r"(?!)")

    def put(self, text: str) -> str:
        """Text with the live ids in place of the recorded ones."""
        return self._pattern.sub(lambda match: self._known(match[0]), text)

    def learn(
        self, recorded: Any, live: Any, *, strict: bool = False, only: Iterable[str] | None = None, place: str = ""
    ) -> None:
        """Compares a live value with the recorded one: ids always, everything if ``strict``, learning their ids.

        With ``only`` no others are learned, and what is not known is not compared.
        """
        match recorded, live:
            case dict(), dict():
                if strict and recorded.keys() != live.keys():
                    raise Unexpected(f"at {place or 'the top'}: members {[*live]} instead of {[*recorded]}")
                for name in (name for name in recorded if name in live):
                    self.learn(recorded[name], live[name], strict=strict, only=only, place=f"{place}.{name}")
            case list(), list():
                if strict and len(recorded) != len(live):
                    raise Unexpected(f"at {place}: {len(live)} items instead of {len(recorded)}")
                for number, (one, other) in enumerate(zip(recorded, live, strict=False)):
                    self.learn(one, other, strict=strict, only=only, place=f"{place}[{number}]")
            case str(), _ if recorded in self.theirs and recorded not in self._live:
                if only is None or recorded in only:
                    self._bind(recorded, live, place)
            case str(), _ if recorded in self._live or strict:
                if self.put(recorded) != live:
                    raise Unexpected(f"at {place}: {live!r} instead of {self.put(recorded)!r}")
            case _ if strict and recorded != live:
                raise Unexpected(f"at {place}: {live!r} instead of {recorded!r}")

    def _bind(self, recorded: str, live: Any, place: str) -> None:
        if not isinstance(live, str):
            raise Unexpected(f"at {place}: {live!r} instead of an id")
        if live in self._live.values():
            raise Unexpected(f"at {place}: {live!r} again, which stands for another id")
        self._live[recorded] = live

    def _known(self, recorded: str) -> str:
        if recorded not in self._live:
            raise Unexpected(f"{recorded!r} is to be said and was not heard before")
        return self._live[recorded]
