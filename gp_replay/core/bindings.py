"""Ids that stand for recorded ones: a table from what was recorded to what is said live, and back.

Whoever says an id first owns it. One that we say first is *ours*: it goes out as recorded, or fresh. One that the live
side says first is *free*, and learned. What the live side says is read with its ids turned back into recorded ones, so
everything behind this table thinks in recorded ids; what we say is written with live ones.

A client that several recordings could answer is told the ids of the first. If another one is its own, that one's ids
give way: while it is undecided each candidate has a table of its own, over the shared one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

from gp_replay.core.cuts import Cut, cut_edits
from gp_replay.core.model import Headers
from gp_replay.core.rewriter import Edit, apply_edits
from gp_replay.core.shapes import ids_in

__all__ = ["Bindings", "Mint"]

# Escapes are taken whole, so that the letter of one is not the first of an id.
_TOKEN = re.compile(rb"\\u[0-9a-fA-F]{4}|\\.|%[0-9A-Fa-f]{2}|[A-Za-z0-9_-]{8,}", re.DOTALL)
_SPOKEN_NAME = 4
_NOTHING: dict[bytes, bytes] = {}
"""Never written to."""
_DIGITS = re.compile(rb"[0-9]+")
_FRAMING = frozenset(
    {b"sec-websocket-accept", b"sec-websocket-key", b"content-length", b"transfer-encoding", b"date", b"host"}
)


class Mint:
    """Fresh ids: of the recorded one's shape, and the same for the same play.

    Args:
        seed: of the cassettes and the namespace.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._count = 0

    def fresh(self, recorded: bytes) -> bytes:
        """Another id of the same shape: letters stay letters of their case, digits digits, hex stays hex."""
        self._count += 1
        prefix = _prefix(recorded)
        rest = recorded[prefix:]
        low, high = (b"0123456789abcdef", b"0123456789ABCDEF")
        is_hex = bool(re.fullmatch(rb"[0-9a-f-]+|[0-9A-F-]+", rest)) and bool(_DIGITS.search(rest))
        made = bytearray(recorded)
        stream = self._stream(recorded, len(rest))
        for place, byte, random in zip(range(prefix, len(recorded)), rest, stream, strict=True):
            character = bytes([byte])
            if is_hex and character.isalnum():
                made[place] = (high if rest.upper() == rest else low)[random % 16]
            elif character.isdigit():
                made[place] = 0x30 + random % 10
            elif character.islower():
                made[place] = 0x61 + random % 26
            elif character.isupper():
                made[place] = 0x41 + random % 26
        if len(recorded) == 36 and recorded[8:9] == b"-":  # a uuid keeps its version and variant
            made[14], made[19] = recorded[14], recorded[19]
        return bytes(made)

    def _stream(self, recorded: bytes, size: int) -> bytes:
        key = self._seed + b"\0%d\0" % self._count + recorded
        blocks = [blake2b(key + b"%d" % number, digest_size=64).digest() for number in range(size // 64 + 1)]
        return b"".join(blocks)[:size]


def _prefix(recorded: bytes) -> int:
    """How much of an id is its kind: words before the last separator, none of which has a digit."""
    end = 0
    for part in re.finditer(rb"[A-Za-z]+[_-]", recorded):
        if part.start() != end:
            break
        end = part.end()
    return end if len(recorded) - end >= 6 else 0


class Bindings:
    """See the module.

    Args:
        mint: makes fresh ids for all that are ours; None: they go out as recorded, unless that id is taken.
        spare: makes them where a recorded one is taken.
        parent: the table under this one.
    """

    def __init__(self, *, mint: Mint | None = None, spare: Mint | None = None, parent: Bindings | None = None) -> None:
        self._parent = parent
        self._mint: Mint | None = mint if parent is None else parent._mint
        self._spare: Mint = (spare or mint or Mint(b"")) if parent is None else parent._spare
        # Candidates are many, and most of them learn nothing: their tables are made when they do.
        self._live: dict[bytes, bytes] = _NOTHING
        self._recorded: dict[bytes, bytes] = _NOTHING
        self._given: set[bytes] = set() if parent is None else parent._given
        self._strangers: dict[bytes, bytes] = {} if parent is None else parent._strangers
        self._changed = 0
        self._settled = False
        self._made: tuple[bytes, ...] = ()
        self._names: dict[bytes, bytes] = _NOTHING

    def __len__(self) -> int:
        """How many ids are bound, those that are live what they were recorded included."""
        return len(self._live) + (0 if self._parent is None else len(self._parent))

    def __iter__(self) -> Iterator[bytes]:
        """The recorded ids."""
        yield from self._live
        if self._parent is not None:
            yield from self._parent

    @property
    def changed(self) -> bool:
        """Whether any id is live another than it was recorded."""
        return self._changed > 0 or bool(self._names) or (self._parent is not None and self._parent.changed)

    @property
    def named(self) -> bool:
        """Whether an owner has another name here."""
        return bool(self._all_names())

    def live(self, recorded: bytes) -> bytes | None:
        """The live value of a recorded id; None where it has none yet."""
        found = self._live.get(recorded)
        return found if found is not None or self._parent is None else self._parent.live(recorded)

    def recorded(self, live: bytes) -> bytes | None:
        """The recorded id that a live value stands for; None for a value nobody said."""
        found = self._recorded.get(live)
        return found if found is not None or self._parent is None else self._parent.recorded(live)

    def bind(self, recorded: bytes, live: bytes) -> bool:
        """Binds a pair; False when one of them is bound to something else."""
        if self.live(recorded) is not None or self.recorded(live) is not None:
            return self.live(recorded) == live
        if self._settled and self._parent is not None:
            return self._parent.bind(recorded, live)
        if self._live is _NOTHING:
            self._live, self._recorded = {}, {}
        self._live[recorded] = live
        self._recorded[live] = recorded
        self._changed += recorded != live
        return True

    def name(self, recorded: str, live: str) -> None:
        """Binds a name of any shape (an owner's), wherever it stands as a word."""
        if recorded != live:
            self._names = {**self._names, recorded.encode(): live.encode()}

    def make(self, raw: bytes) -> None:
        """We are about to say ``raw``: ids in it that nobody said before are ours from now on."""
        for recorded in ids_in(raw):
            if self.live(recorded) is not None or recorded in self._names:
                continue
            live = recorded
            if self._mint is not None:
                live = self._mint.fresh(recorded)
            while live in self._given or self.recorded(live) is not None:
                live = self._spare.fresh(recorded)
            self._given.add(live)
            if self._parent is not None and not self._settled:
                self._made += (live,)
            self.bind(recorded, live)

    def agrees(self, pairs: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether what was heard (its known ids turned back already) may stand for what was recorded.

        Args:
            pairs: ids at the same places, recorded and heard.
        """
        for recorded, heard in pairs:
            known = self.live(recorded)
            if recorded == heard:
                continue
            said = self._strangers.get(heard, heard)
            if known is not None or self.live(heard) is not None or said in self._given:
                return False
        return True

    def learn(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Binds what the live side said first."""
        for recorded, heard in pairs:
            if self.live(recorded) is None and self.live(heard) is None:
                self.bind(recorded, self._strangers.get(heard, heard))

    def settle(self) -> None:
        """This table is the right one: what it holds is shared from now on.

        What the shared one has another value for stays here, and counts here.
        """
        if self._parent is None or self._settled:
            return
        self._parent.settle()
        self._settled = True
        for recorded, live in list(self._live.items()):
            if self._parent.bind(recorded, live):
                del self._live[recorded], self._recorded[live]
                self._changed -= recorded != live

    def drop(self) -> None:
        """This table was not the right one: the ids it gave out are nobody's again."""
        self._given.difference_update(self._made)
        self._live = self._recorded = _NOTHING
        self._changed = 0

    def keep(self, recorded: bytes) -> None:
        """An id that all recordings left say here: it means the same to everybody, and is said as it is."""
        self.bind(recorded, recorded)

    # Texts

    def say(self, raw: bytes) -> bytes:
        """What we say, with recorded ids turned into live ones."""
        if not self.changed or not raw:
            return raw
        return self._in_names(_TOKEN.sub(self._said, raw), back=False)

    def hear(self, raw: bytes) -> bytes:
        """What was said to us, with live ids turned back into recorded ones."""
        if not self.changed or not raw:
            return raw
        return _TOKEN.sub(self._heard, self._in_names(raw, back=True))

    def _said(self, token: re.Match[bytes]) -> bytes:
        return self.live(token[0]) or token[0]

    def _heard(self, token: re.Match[bytes]) -> bytes:
        recorded = self.recorded(token[0])
        if recorded is not None:
            return recorded
        if self.live(token[0]) is None:
            return token[0]
        # It happens to be a recorded id, but one with another live value: it does not stand for that one.
        stranger = Mint(b"stranger").fresh(token[0])
        self._strangers[stranger] = token[0]
        return stranger

    def _all_names(self) -> dict[bytes, bytes]:
        return self._names if self._parent is None else {**self._parent._all_names(), **self._names}

    def _in_names(self, raw: bytes, *, back: bool) -> bytes:
        for recorded, live in self._all_names().items():
            raw = _as_word(raw, live, recorded) if back else _as_word(raw, recorded, live)
        return raw

    def say_headers(self, headers: Headers) -> Headers:
        """Headers as this client must get them; those of the framing and the handshake stay."""
        if not self.changed:
            return headers
        return tuple((name, value if name.lower() in _FRAMING else self.say(value)) for name, value in headers)

    def say_parts(self, parts: Sequence[bytes], cuts: Mapping[int, Sequence[Cut]]) -> list[bytes]:
        """The parts of one body, as many as there were; an id may be cut by their boundaries.

        Args:
            parts: in order.
            cuts: ids that are cut by the boundaries of deltas, by part.
        """
        if not self.changed:
            return list(parts)
        whole, start = b"".join(parts), 0
        edits = [
            Edit(token.start(), token.end(), live)
            for token in _TOKEN.finditer(whole)
            if (live := self.live(token[0])) is not None and live != token[0]
        ]
        for number, part in enumerate(parts):
            edits += [
                Edit(edit.start + start, edit.end + start, edit.data)
                for edit in cut_edits(cuts.get(number, ()), self.live)
            ]
            start += len(part)
        edits.sort(key=lambda edit: edit.start)
        return [self._in_names(part, back=False) for part in apply_edits(list(parts), edits)]


def _as_word(raw: bytes, old: bytes, new: bytes) -> bytes:
    if old not in raw:
        return raw
    # A short name or a number is also said where nobody is meant: only whole strings and parts of paths are the owner.
    if len(old) < _SPOKEN_NAME or old.isdigit():
        return re.sub(rb"""(?<=["'/=])""" + re.escape(old) + rb"""(?=\\*["'/&?]|\Z)""", lambda _: new, raw)
    return re.sub(rb"(?<![A-Za-z0-9_-])" + re.escape(old) + rb"(?![A-Za-z0-9_-])", lambda _: new, raw)
