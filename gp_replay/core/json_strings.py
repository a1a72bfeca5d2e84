"""The strings in raw JSON, where they stand: to change one by span, without serialising anything anew."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["JsonPath", "RawString", "Unescaped", "cut_escape", "decoded", "json_strings", "unescaped", "write_back"]

JsonPath: TypeAlias = tuple[str | int, ...]

_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|[{}\[\],:]', re.DOTALL)
_UNIT = re.compile(rb"\\u([0-9a-fA-F]{4})|\\(.)|[^\\]+", re.DOTALL)
_SIMPLE = {0x6E: b"\n", 0x74: b"\t", 0x72: b"\r", 0x62: b"\b", 0x66: b"\f"}
_MAX_DEPTH = 64
# Characters that need no escape, and line breaks; quotes and backslashes would change what is a string.
_NEEDLESS = re.compile(rb"\\+(?:u00([346][0-9A-Fa-f]|2[013-9A-Fa-f]|0[9ADad]|5[0-9ABDEFabdef]|7[0-9A-Ea-e])|/)")
_CUT_ESCAPE = re.compile(rb"\\(?:u(?:0(?:0[0-7]?)?)?)?\Z")


@dataclass(frozen=True, slots=True)
class RawString:
    """One string value: its path, where its content stands (without quotes), and whether it has escapes."""

    path: JsonPath
    start: int
    end: int
    escaped: bool


def json_strings(raw: bytes) -> list[RawString]:
    """All string values in order. Of text that is not JSON it gives what looks like them; it never raises."""
    found: list[RawString] = []
    stack: list[list[str | int]] = []  # the key or index being read, one list a level: [current]
    key: str | None = None
    expects_key = False
    for token in _TOKEN.finditer(raw):
        byte = raw[token.start()]
        if byte == 0x22:
            if expects_key:
                key = token[1].decode("utf-8", "replace")
                continue
            path = tuple(level[0] for level in stack)
            found.append(RawString(path, token.start(1), token.end(1), b"\\" in token[1]))
        elif byte in b"{[":
            if len(stack) >= _MAX_DEPTH:
                return found
            stack.append(["" if byte == 0x7B else 0])
            expects_key = byte == 0x7B
        elif byte in b"}]":
            if not stack:
                return found
            stack.pop()
            expects_key = False
        elif byte == 0x3A:
            if stack and key is not None:
                stack[-1][0] = key
                key = None
            expects_key = False
        elif stack:
            current = stack[-1][0]
            if isinstance(current, int):
                stack[-1][0] = current + 1
            else:
                expects_key = True
    return found


def decoded(raw: bytes) -> bytes:
    """The content of a JSON string as UTF-8; escapes that mean nothing stand for themselves."""
    return b"".join(part for part, _, _ in _units(raw))


def _units(raw: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Decoded parts with the raw span each came from."""
    for unit in _UNIT.finditer(raw):
        start, end = unit.span()
        if unit[1] is not None:
            yield chr(int(unit[1], 16)).encode("utf-8", "replace"), start, end
        elif unit[2] is not None:
            yield _SIMPLE.get(unit[2][0], unit[2]), start, end
        else:
            yield unit[0], start, end


def write_back(raw: bytes, changed: bytes) -> bytes:
    """The raw content of a string with the decoded characters of ``changed``, byte for byte as long as before.

    Args:
        raw: the content between the quotes.
        changed: as long as `decoded` of it, different only in ASCII letters and digits.
    """
    out = bytearray(raw)
    position = 0
    for part, start, end in _units(raw):
        new = changed[position : position + len(part)]
        position += len(part)
        if new == part:
            continue
        if end - start == len(part):
            out[start:end] = new
        elif end - start == 6 and len(new) == 1:
            out[start:end] = b"\\u%04x" % new[0]
    return bytes(out)


@dataclass(frozen=True, slots=True)
class Unescaped:
    """Raw text with its needless escapes (``\\u0073``, ``\\/``, however deeply nested) read as what they stand for.

    Attributes:
        text: to look at.
    """

    text: bytes
    _at: tuple[int, ...]  # where each escape's character stands in `text`
    _raw: tuple[tuple[int, int], ...]  # and the escape in the raw text
    _source: bytes

    def raw_offset(self, offset: int) -> int:
        """Where in the raw text the character at ``offset`` of `text` begins."""
        before = bisect_left(self._at, offset)
        return offset if before == 0 else self._raw[before - 1][1] + offset - self._at[before - 1] - 1

    def raw_data(self, start: int, data: bytes) -> bytes:
        """What to write in the raw text so that ``data`` stands at ``start`` of `text`: an escape stays one."""
        out: list[bytes] = []
        position = start
        for index in range(bisect_left(self._at, start), len(self._at)):
            place = self._at[index]
            if place >= start + len(data):
                break
            low, high = self._raw[index]
            character = data[place - start]
            same = character == self.text[place]
            out += [
                data[position - start : place - start],
                self._source[low:high] if same else self._source[low : high - 2] + b"%02x" % character,
            ]
            position = place + 1
        return b"".join([*out, data[position - start :]])


def unescaped(raw: bytes, *, start: int = 0) -> Unescaped | None:
    """``raw`` without needless escapes from ``start`` on; None when it has none."""
    if b"\\u00" not in raw and b"\\/" not in raw:
        return None
    at: list[int] = []
    spans: list[tuple[int, int]] = []
    parts: list[bytes] = []
    position = size = 0
    for found in _NEEDLESS.finditer(raw, start):
        parts += [raw[position : found.start()], bytes.fromhex(found[1].decode()) if found[1] else b"/"]
        size += found.start() - position + 1
        at.append(size - 1)
        spans.append(found.span())
        position = found.end()
    if not at:
        return None
    return Unescaped(b"".join([*parts, raw[position:]]), tuple(at), tuple(spans), raw)


def cut_escape(raw: bytes) -> int:
    """Where an escape begins that the end of ``raw`` may cut; ``len(raw)`` when none does."""
    size = len(raw)
    if b"\\" not in raw[-5:]:
        return size
    found = _CUT_ESCAPE.search(raw, max(0, size - 5))
    return size if found is None else len(raw[: found.start()].rstrip(b"\\"))
