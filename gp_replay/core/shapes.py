"""What a value is by its shape alone: an id, a time, a secret, or content.

Only what no person would say is volatile: a uuid, a prefixed or random-looking id, a time. Words, plain numbers and
model names are content, however they are spelled: taking "gpt-4o-mini-2024-07-18" for an id would answer one model
with another.
"""

from __future__ import annotations

import re

__all__ = ["embedded_ids", "ids_in", "is_id", "is_time_number", "is_time_text", "shape_of"]

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32,64}")
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s?(Z|[+-]\d{2}:?\d{2})?"
    r"|(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT"
)
_PREFIXED = re.compile(
    r"(?:asst|batch|call|function|chatcmpl|cmpl|conn|connection|conv|ctx|evt|event|ex|exec|fc|file|gen|item|main|factory|isolated|msg"
    r"|message|req|request|resp|rs|run|sess|session|step|task|th|thread|toolu|trace|tool|ws|srvtoolu|thr|user|usr|test)"
    r"(?:[_-][a-z]{1,12}){0,2}[_-]([A-Za-z0-9]{6,})"
)
_OPAQUE = re.compile(r"[A-Za-z0-9_-]{16,}={0,2}")
_DIGITS = re.compile("[0-9]")
_WORD = re.compile(r"[A-Za-z0-9_-]{8,}")
_QUOTED = re.compile(
    rb'(?<=["=])[A-Za-z0-9_-]{8,512}(?=={0,2}\\*["&]|\Z)'
    rb"|(?<![A-Za-z0-9_-])[A-Za-z0-9]{1,60}[_-][A-Za-z0-9_-]{6,512}(?![A-Za-z0-9_-])"
)
_NAMED = re.compile(
    rb'(?:\A|[?&"])((?:[A-Za-z0-9]+[_-])?[A-Za-z]*[Ii][Dd])(?:\\*"\s*:\s*\\*"|=)([A-Za-z0-9_-]{12,512})'
)
_ID_NAME = re.compile(r"(?:^|[_-])(?:[a-z]?id)$|[a-z]Id$")
_CLASSES = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_MIXED = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])|(?=.*[a-z])(?=.*[A-Z].*[A-Z])|[0-9]{12}")
_AROUND_UUID = re.compile(
    r"(?:[A-Za-z]{1,20}[_-]){1,3}[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?:[_-]\w{1,6})?"
)
_ANY_PREFIX = re.compile(r"[A-Za-z]{2,16}[_-]([A-Za-z0-9]{8,})")
_DIGIT_AND_LETTER = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])")
_TIME_NAME = re.compile(
    r"time|date|created|updated|expires?|_at$|^at$|^ts$|^t$|^_$|^now$|^iat$|^exp$|^nbf$", re.IGNORECASE
)

_EPOCHS = ((1.0e9, 4.2e9), (1.0e12, 4.2e12), (1.0e15, 4.2e15), (1.0e18, 4.2e18))
"""2001 to 2103 in seconds, milliseconds, microseconds and nanoseconds."""


def is_id(text: str) -> bool:
    """Whether a string has the shape of an id that a program made."""
    if not 8 <= len(text) <= 512 or not text.isascii():
        return False
    if _UUID.fullmatch(text) or _AROUND_UUID.fullmatch(text):
        return True
    prefixed = _PREFIXED.fullmatch(text)
    if prefixed is not None:
        return _MIXED.match(prefixed[1]) is not None
    if _has_random_end(text):
        return True
    if _OPAQUE.fullmatch(text) is None:
        return False
    # Random text changes between lower case, upper case and digits all the time; words and versions do so at their
    # seams.
    longest = max(re.split(r"[_=-]", text), key=len)
    runs = len(_CLASSES.findall(longest))
    return len(longest) >= 12 and _DIGIT_AND_LETTER.match(longest) is not None and runs * 3.5 >= len(longest)


def embedded_ids(text: str) -> list[tuple[int, int]]:
    """Where ids stand within other text: only such as nothing else looks like, uuids and those with a known prefix."""
    if _DIGITS.search(text) is None:
        return []
    return [word.span() for word in _WORD.finditer(text) if _is_plainly_id(word[0])]


def _is_plainly_id(word: str) -> bool:
    if len(word) > 512:
        return False
    if _UUID.fullmatch(word) or _AROUND_UUID.fullmatch(word):
        return True
    prefixed = _PREFIXED.fullmatch(word)
    return (prefixed is not None and _MIXED.match(prefixed[1]) is not None) or _has_random_end(word)


def _has_random_end(word: str) -> bool:
    """``order_4f9Qx7Lm2``: any word, then something that changes its kind of character all the time."""
    found = _ANY_PREFIX.fullmatch(word)
    if found is None or _DIGIT_AND_LETTER.match(found[1]) is None:
        return False
    return len(_CLASSES.findall(found[1])) * 2 >= len(found[1])


def ids_in(raw: bytes) -> list[bytes]:
    """The ids in raw text (JSON, however deeply nested in strings, forms, event streams), each once, in order."""
    found = dict.fromkeys(token[0] for token in _QUOTED.finditer(raw))
    ids = dict.fromkeys(token for token in found if not token.isalpha() and is_id(token.decode("ascii")))
    for named in _NAMED.finditer(raw):
        if named[2] not in ids and _is_named_id(named[2].decode("ascii"), named[1].decode("ascii")):
            ids[named[2]] = None
    return list(ids)


def _is_named_id(text: str, name: str) -> bool:
    """Under a name that says id, any long enough mixture of letters and digits is one, however it is divided."""
    if len(text) < 12 or not _ID_NAME.search(name) or not _OPAQUE.fullmatch(text):
        return False
    return _DIGIT_AND_LETTER.match(text) is not None and re.search("[a-z].*[A-Z]|[A-Z].*[a-z]", text) is not None


def is_time_text(text: str) -> bool:
    """Whether a string is a date with a time of day (ISO 8601, RFC 9110 section 5.6.7)."""
    return 16 <= len(text) <= 40 and _TIME.fullmatch(text) is not None


def is_time_number(value: float, name: str) -> bool:
    """Whether a number under this name is a time since 1970, in whatever unit."""
    return any(low <= value <= high for low, high in _EPOCHS) and _TIME_NAME.search(name) is not None


def shape_of(text: str, name: str = "") -> str:
    """``"id"``, ``"time"`` or ``""`` for content.

    Args:
        text: the value as text; digits alone are a time only under a name that says so.
        name: of the member or query parameter it stands under.
    """
    if is_time_text(text):
        return "time"
    if text.isdigit() and len(text) in (10, 13, 16, 19) and is_time_number(int(text), name):
        return "time"
    return "id" if is_id(text) or _is_named_id(text, name) else ""
