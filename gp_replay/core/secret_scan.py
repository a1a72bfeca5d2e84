"""Finds secrets in text that may still go on: by the name in front of them, by their shape, or literally.

It must find what leaks and nothing else, on every piece a recorder relays. So it asks `bytes.find` for a few rare
words first and looks closer, anchored, only where one stands: the work is linear in the text whatever is in it.

Shapes need a left boundary, so that ``task-based-…`` is no ``sk-…``. What reaches the end of the text, or might be the
beginning of a secret there, is undecided until more comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from gp_replay.core.secret_rules import BARE_NAMES, NAMES, is_credential, looks_like_credential, normal_name, spellings

__all__ = ["SecretScanner", "Span"]

_C = rb"[A-Za-z0-9_-]"
_SHAPE = re.compile(
    # A JWE (RFC 7516) has five parts, of which the second is empty where the key was agreed upon.
    rb"(?P<jwt>eyJ" + _C + rb"{8,}(?:\." + _C + rb"*\." + _C + rb"{8,}\." + _C + rb"{4,}\." + _C + rb"{8,}"
    rb"|\." + _C + rb"{4,}\." + _C + rb"*))"
    rb"|(?P<random>(?:[sp]k|xai|glpat)-" + _C + rb"{20,}|xox[abprs]-[A-Za-z0-9-]{20,})"
    rb"|AIza" + _C + rb"{30,}|gh[opusr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,}|hf_[A-Za-z0-9]{30,}"
    rb"|gsk_[A-Za-z0-9]{20,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|sk_[0-9a-f]{32,}"
    rb"|(?:nvapi|pplx)-" + _C + rb"{30,}|ya29\." + _C + rb"{30,}"
    rb"|A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    rb"|[Bb]earer {1,4}(?P<bearer>[A-Za-z0-9._~+/=-]{20,})"
)
_OPEN_SHAPE = re.compile(
    rb"(?:eyJ"
    + _C
    + rb"*(?:\."
    + _C
    + rb"*){0,4}|(?:[sp]k|xai|glpat|nvapi|pplx)-"
    + _C
    + rb"*|xox(?:[abprs](?:-[A-Za-z0-9-]*)?)?"
    rb"|AIza" + _C + rb"*|gh[opusr]_[A-Za-z0-9]*|github_pat_[A-Za-z0-9_]*|hf_[A-Za-z0-9]*|A(?:KIA|SIA)[A-Z0-9]*"
    rb"|(?:gsk|[sr]k)_[A-Za-z0-9_]*|ya29\." + _C + rb"*"
    rb"|[Bb]earer {1,4}[A-Za-z0-9._~+/=-]*)\Z"
)
# Every shape begins with one of these; at the end of a text it may be there in part.
_NEEDLES = (
    *(b"eyJ", b"sk-", b"pk-", b"xai-", b"glpat-", b"xox", b"AIza", b"AKIA", b"ASIA", b"hf_", b"github_pat_"),
    *(b"gsk_", b"sk_", b"rk_", b"nvapi-", b"pplx-", b"ya29."),
    *(b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"Bearer ", b"bearer "),
)
_PEM_NEEDLE = b"-----BEGIN"
_PEM_BEGIN = re.compile(rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----")
_OPEN_PEM_BEGIN = re.compile(rb"-----BEGIN[A-Z ]{0,45}-{0,4}\Z")
_STRONG = re.compile(rb"sk-(?:ant|proj|or|svcacct|admin)-|xai-|glpat-|xox")
_KEYED = re.compile(
    rb"(\\{0,7})\"([A-Za-z0-9_-]{2,40})\1\"[ \t\r\n]{0,16}:[ \t\r\n]{0,16}(\[[ \t\r\n]{0,16})?\1\"",
)
_OPEN_KEY = re.compile(
    rb"\\{0,7}\"([A-Za-z0-9_-]{0,40})"
    rb"(\\{0,7}(?:\"[ \t\r\n]{0,16}(?::[ \t\r\n]{0,16}(?:\[[ \t\r\n]{0,16})?\\{0,7})?)?)\Z"
)
_KEY_CHARACTERS = b'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-\\":[ \t\r\n'
_WORDS = (b"token", b"key", b"secret", b"pass", b"authorization", b"jwt", b"assertion")
_SCHEME = re.compile(rb"(?:Bearer|Basic|Token|Digest|ApiKey) +", re.IGNORECASE)
_INSIDE = re.compile(rb"[A-Za-z0-9._~+/=%-]+")
_DIGITS = re.compile(rb"[0-9]")
_SEGMENT = re.compile(rb"[A-Za-z0-9]+")
_DELIMITER = re.compile(rb"[\s\"'<>]")
_ESCAPED = re.compile(rb"\\u[0-9A-Fa-f]{4}")
_DASH = 0x2D
_LONGEST_NAME = 48
_KEY_WINDOW = 128
_PATTERN_WINDOW = 256
# A literal is withheld from its first characters only where it stands apart; inside a word from the third.
_SHORT_BEGINNING = 2


@dataclass(frozen=True, slots=True)
class Span:
    """A secret at ``[start, end)``; ``kind`` is "jwt" or "credential"; what tells it is one begins at ``since``."""

    start: int
    end: int
    kind: str
    since: int


_Found: TypeAlias = tuple[int | None, Span | None]
"""From where on something is undecided unless the text is final, and what it is if it is."""


class SecretScanner:
    """Finds secrets.

    Args:
        literals: values that are secrets wherever they stand.
        fields: more names of fields whose values are secrets.
        patterns: more shapes. Where there are any, the last word of a text (at most 256 bytes) is always undecided.
    """

    def __init__(
        self,
        *,
        literals: Iterable[bytes] = (),
        fields: Iterable[str] = (),
        patterns: Iterable[re.Pattern[bytes]] = (),
    ) -> None:
        self._literals = tuple(dict.fromkeys(way for literal in literals if literal for way in spellings(literal)))
        self._patterns = tuple(patterns)
        own = frozenset(normal_name(field) for field in fields)
        self._names = NAMES | own
        self._words = (*_WORDS, *(max(re.findall(r"[a-z0-9]+", field.lower()), key=len).encode() for field in fields))
        every = self._names | BARE_NAMES
        self._name_beginnings = frozenset(name[:size] for name in every for size in range(len(name) + 1))
        beginnings = {needle[:size] for needle in (*_NEEDLES, _PEM_NEEDLE) for size in range(1, len(needle))}
        beginnings |= {literal[:size] for literal in self._literals for size in range(1, _SHORT_BEGINNING + 1)}
        self._beginnings: dict[int, tuple[bytes, ...]] = {}
        for text in sorted(beginnings, key=len, reverse=True):
            self._beginnings[text[-1]] = (*self._beginnings.get(text[-1], ()), text)
        self._string_end = _string_ends(beginnings)
        self._needles = (*_NEEDLES, _PEM_NEEDLE, *(literal[: _SHORT_BEGINNING + 1] for literal in self._literals))

    def scan(self, text: bytes, *, start: int = 0, final: bool = True) -> tuple[list[Span], int]:
        """All secrets from ``start`` on, in order and apart, and from where on the text is undecided.

        Args:
            text: what is there so far; what stands before ``start`` is context.
            start: where to begin.
            final: nothing will follow, and nothing is undecided.
        """
        size = len(text)
        undecided = size
        spans: list[Span] = []
        for open_from, span in (*self._shapes(text, start), *self._keyed(text, start)):
            if open_from is not None and not final:
                undecided = min(undecided, open_from)
            elif span is not None:
                spans.append(span)
        spans += self._others(text, start)
        if not final:
            undecided = min(undecided, self._undecided_end(text, start))
            for span in sorted(spans, key=lambda span: -span.end):
                # What reaches the end may go on; what the undecided tail cuts is undecided as a whole.
                if span.end == size or span.end > undecided:
                    undecided = min(undecided, span.since)
        return [span for span in _apart(spans) if span.end <= undecided], undecided

    def suspects(self, text: bytes) -> bool:
        """Whether a JSON string in ``text`` may end in the beginning of a secret, or holds quotes (then perhaps JSON).

        A wrong yes only costs time.
        """
        if b'\\"' in text or self._patterns:
            return True
        for needle in self._needles:
            if needle in text:
                return True
        if b"\\" not in text and b"%" not in text:
            return self._string_end.search(text) is not None  # this runs for every delta
        beginnings = self._beginnings
        for part in text.split(b'"'):
            options = beginnings.get(part[-1]) if part else None
            if options is not None and part.endswith(options) and self._beginning(part, 0) < len(part):
                return True
        return False

    def ends_inside(self, text: bytes, *, start: int) -> int:
        """Where a secret ends that was cut at ``start`` because it was too long to withhold."""
        found = _INSIDE.match(text, start)
        return start if found is None else found.end()

    def _shapes(self, text: bytes, start: int) -> Iterator[_Found]:
        places: list[int] = []
        for needle in (*_NEEDLES, _PEM_NEEDLE):
            place = text.find(needle, start)
            while place >= 0:
                places.append(place)
                place = text.find(needle, place + len(needle))
        position = start
        for place in sorted(places):
            if place < position or not _stands_apart(text, place):
                continue
            is_open, span, position = _pem(text, place) if text[place] == _DASH else _shape(text, place)
            yield place if is_open else None, span

    def _keyed(self, text: bytes, start: int) -> Iterator[_Found]:
        lower = text.lower()
        quotes: set[int] = set()
        for word in self._words:
            place = lower.find(word, start)
            while place >= 0:
                quote = text.rfind(b'"', max(start, place - _LONGEST_NAME), place)
                if quote >= 0:
                    quotes.add(quote)
                place = lower.find(word, place + len(word))
        position = start
        for quote in sorted(quotes):
            found = _KEYED.match(text, _escapes_from(text, quote, start)) if quote >= position else None
            if found is None:
                continue
            name = normal_name(found[2].decode())
            always = name in self._names
            if not always and name not in BARE_NAMES:
                continue
            end, closed = _string_end(text, found.end(), len(found[1]))
            if end is None:
                continue
            span = _value_span(text, found.start(), found.end(), end)
            if span is not None and not _may_stand(text[span.start : end], always=always, in_array=bool(found[3])):
                span = None
            yield None if closed else found.start(), span
            position = position if span is None else end

    def _others(self, text: bytes, start: int) -> Iterator[Span]:
        for literal in self._literals:
            place = text.find(literal, start)
            while place >= 0:
                yield Span(place, place + len(literal), "credential", place)
                place = text.find(literal, place + len(literal))
        for pattern in self._patterns:
            for found in pattern.finditer(text, start):
                if found.end() > found.start():
                    yield Span(*found.span(), "credential", found.start())

    def _undecided_end(self, text: bytes, start: int) -> int:
        size = len(text)
        earliest = min(self._beginning(text, start), self._open_key(text, start))
        for literal in self._literals:
            place = text.find(literal[:3], max(start, size - len(literal) + 1))
            while place >= 0:
                if literal.startswith(text[place:]):
                    earliest = min(earliest, place)
                    break
                place = text.find(literal[:3], place + 1)
        if self._patterns:
            low = max(start, size - _PATTERN_WINDOW)
            last = max((found.end() for found in _DELIMITER.finditer(text, low)), default=low)
            earliest = min(earliest, last)
        return earliest

    def _beginning(self, text: bytes, start: int) -> int:
        """Where the first few characters of a shape or literal stand at the end of the text."""
        size = len(text)
        options = self._beginnings.get(text[-1]) if size > start else None
        if options is None or not text.endswith(options):
            return size
        for option in options:
            place = size - len(option)
            if place >= start and text.endswith(option) and _stands_apart(text, place):
                return place
        return size

    def _open_key(self, text: bytes, start: int) -> int:
        """Where a name begins that is cut by the end of the text, or is not yet followed by its value."""
        window = text[max(start, len(text) - _KEY_WINDOW) :]
        tail = len(window.rstrip(_KEY_CHARACTERS))
        if window.find(b'"', tail) < 0 and not window.endswith(b"\\"):
            return len(text)
        offset = len(text) - len(window)
        for found in _OPEN_KEY.finditer(window, tail):
            name = normal_name(found[1].decode())
            if name in (self._names | BARE_NAMES if b'"' in found[2] else self._name_beginnings):
                return offset + found.start()
        return offset + len(window.rstrip(b"\\"))


def _string_ends(beginnings: Iterable[bytes]) -> re.Pattern[bytes]:
    """Finds one of ``beginnings`` that stands apart at the end of a string, in text without escapes."""
    rests: dict[bytes, list[bytes]] = {}
    for text in sorted(beginnings, key=len, reverse=True):
        rests.setdefault(text[:1], []).append(re.escape(text[1:]))
    branches = (re.escape(first) + b"(?:" + b"|".join(each) + b")" for first, each in rests.items() if first != b"-")
    dashes = b"|".join(rests.get(b"-", ()))
    return re.compile(b"(?:(?<![A-Za-z0-9_-])(?:" + b"|".join(branches) + b")|-(?:" + dashes + b'))(?:"|\\Z)')


def _stands_apart(text: bytes, place: int) -> bool:
    """Whether a shape may begin here: not in the middle of a word, but right behind an escape. Dashes always may."""
    if place == 0 or text[place] == _DASH:
        return True
    before = text[place - 1]
    if not (48 <= before <= 57 or 65 <= before <= 90 or 97 <= before <= 122 or before in b"_-"):
        return True
    if before in b"nrtbf" and place > 1 and text[place - 2] == 0x5C:
        return True
    if before in b"0123456789ABCDEFabcdef":
        return text[place - 3 : place - 2] == b"%" or _ESCAPED.fullmatch(text, max(0, place - 6), place) is not None
    return False


def _shape(text: bytes, place: int) -> tuple[bool, Span | None, int]:
    """Whether the shape at ``place`` is open, what it is so far, and where to go on."""
    is_open = _OPEN_SHAPE.match(text, place) is not None
    found = _SHAPE.match(text, place)
    if found is None:
        return is_open, None, place + 1
    kind = "credential"
    start, end = found.span()
    match found.lastgroup:
        case "jwt":
            kind = "jwt"
        case "random" if not _is_random(found[0]):
            return is_open, None, end
        case "bearer":
            if not looks_like_credential(found["bearer"]):
                return is_open, None, place + 1
            start = found.start("bearer")
            kind = "jwt" if found["bearer"].startswith(b"eyJ") else "credential"
    return is_open, Span(start, end, kind, place), end


def _is_random(value: bytes) -> bool:
    """Words behind ``sk-`` are words: a key has a long part, digits in it, or says whose it is."""
    if _STRONG.match(value):
        return True
    longest = max(map(len, _SEGMENT.findall(value)))
    digits = len(_DIGITS.findall(value))
    return longest >= 20 or (longest >= 12 and digits > 0) or digits >= 6


def _pem(text: bytes, place: int) -> tuple[bool, Span | None, int]:
    begin = _PEM_BEGIN.match(text, place)
    if begin is None:
        return _OPEN_PEM_BEGIN.match(text, place) is not None, None, place + 1
    end = text.find(b"-----", begin.end())
    is_open = end < 0
    end = len(text) if is_open else end
    return is_open, Span(begin.end(), end, "credential", place) if end > begin.end() else None, end


def _escapes_from(text: bytes, quote: int, low: int) -> int:
    """Where the backslashes in front of a quote begin."""
    while quote > low and text[quote - 1] == 0x5C:
        quote -= 1
    return quote


def _value_span(text: bytes, since: int, start: int, end: int) -> Span | None:
    if text.startswith(_PEM_NEEDLE, start):
        return None  # its shape keeps the line that says what it is
    scheme = _SCHEME.match(text, start, end)
    start = scheme.end() if scheme else start
    kind = "jwt" if text.startswith(b"eyJ", start) else "credential"
    return Span(start, end, kind, since) if end > start else None


def _may_stand(value: bytes, *, always: bool, in_array: bool) -> bool:
    """Whether the value of a keyed string is a secret; in an array (headers as JSON) sentences are error messages."""
    return is_credential(value) or (always and not (in_array and b" " in value))


def _string_end(text: bytes, start: int, escapes: int) -> tuple[int | None, bool]:
    """Where a JSON string ends that is nested so deeply that its quotes carry ``escapes`` backslashes.

    Returns:
        The end and True; the end of the text and False where the string is not finished; None where the string around
        it ends first (a delta cut this one: the joined deltas will tell).
    """
    period = 2 * (escapes + 1)
    position = start
    while (quote := text.find(b'"', position)) >= 0:
        run = _escapes_from(text, quote, start)
        depth = (quote - run) % period
        if depth == escapes:
            return quote - escapes, True
        if depth < escapes:
            return None, False
        position = quote + 1
    return len(text), False


def _apart(spans: list[Span]) -> list[Span]:
    """Overlapping spans: the one that begins first, and of those the longest."""
    spans.sort(key=lambda span: (span.start, -span.end))
    kept: list[Span] = []
    for span in spans:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
