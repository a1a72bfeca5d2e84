"""The strings in raw JSON, where they stand: to change one by span, without serialising anything anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["JsonPath", "RawString", "decoded", "json_strings", "write_back"]

JsonPath: TypeAlias = tuple[str | int, ...]

_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|[{}\[\],:]', re.DOTALL)
_UNIT = re.compile(rb"\\u([0-9a-fA-F]{4})|\\(.)|[^\\]+", re.DOTALL)
_SIMPLE = {0x6E: b"\n", 0x74: b"\t", 0x72: b"\r", 0x62: b"\b", 0x66: b"\f"}
_MAX_DEPTH = 64


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
