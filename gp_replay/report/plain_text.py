"""Recorded bytes as text that is safe to print: a hostile cassette must not drive the terminal.

Whatever a terminal or a line-based tool could act on is written as an escape: control characters (C0 but tab, DEL, C1),
line and paragraph separators, direction marks, invisible characters. Everything else stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["content_lines", "excerpt", "milliseconds", "printable", "quoted"]

_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Bytes that are not UTF-8 are these after decoding with "surrogateescape".
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\udc80-\udcff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\0": "\\0"}
_HEX_BYTES_PER_LINE = 32
# A cut character or a colour code in it leaves text readable; more than this is binary.
_TEXT_PER_ODD_CHARACTER = 8


def printable(text: str | bytes) -> str:
    """The text on one line, unsafe characters and bytes that are not UTF-8 as escapes. Backslashes are not doubled."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    return _UNSAFE.sub(_escape, text)


def quoted(text: str | bytes) -> str:
    """`printable` in double quotes, quotes inside escaped."""
    return '"' + printable(text).replace('"', '\\"') + '"'


def excerpt(text: str | bytes, *, max_characters: int) -> str:
    """`printable`, cut to ``max_characters``; what was cut is counted after it, in characters or bytes of ``text``."""
    cut = len(text) - max_characters
    if cut <= 0:
        return printable(text)
    unit = "bytes" if isinstance(text, bytes) else "characters"
    return f"{printable(text[:max_characters])}... [{cut} {unit} left out]"


def milliseconds(us: int) -> str:
    """Microseconds as milliseconds with three decimals; exact for any size."""
    return f"{us // 1000}.{us % 1000:03d}"


def content_lines(data: bytes, *, max_bytes: int | None) -> Iterator[str]:
    """Lines for a body, a message or a payload.

    Text is cut at line feeds and marked with ``|``; text that ends with a line feed gives an empty last line, so the
    lines tell all bytes. Other content is marked with ``#``: offset and bytes in hexadecimal.

    Args:
        data: any bytes; none give no lines.
        max_bytes: how many to show, or None for all. What is left out is counted on a last line.
    """
    shown = data
    if max_bytes is not None and len(data) > max_bytes:
        shown = _whole_characters(data[:max_bytes])
    if shown:
        yield from _text_lines(shown) or _hex_lines(shown)
    if len(shown) < len(data):
        yield f"[{len(data) - len(shown)} bytes left out]"


def _text_lines(data: bytes) -> list[str]:
    text = data.decode("utf-8", "surrogateescape")
    if len(_NOT_TEXT.findall(text)) * _TEXT_PER_ODD_CHARACTER > len(text):
        return []
    return [f"| {printable(line)}" if line else "|" for line in text.split("\n")]


def _hex_lines(data: bytes) -> list[str]:
    return [
        f"# {start:08x}  {data[start : start + _HEX_BYTES_PER_LINE].hex(' ', -4)}"
        for start in range(0, len(data), _HEX_BYTES_PER_LINE)
    ]


def _whole_characters(data: bytes) -> bytes:
    """Without the beginning of a UTF-8 sequence at the end, if there is one."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if back < length else data
        if byte < 0x80:
            break
    return data


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    code = ord(letter)
    if letter in _SHORT:
        return _SHORT[letter]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\u{code:04x}" if code >= 0x80 else f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
