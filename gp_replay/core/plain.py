"""Plain data (text, integers, booleans, lists, mappings) that a person may have edited, and careful reading of it.

Documents (`gp_replay.core.document`) are read with `Node`: every value knows where it stands, so each mistake is one
`CassetteCorrupt` that names the place and what was expected there.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn, TypeVar

from gp_replay.errors import CassetteCorrupt

__all__ = ["MAX_INTEGER", "Node", "bytes_to_plain"]

MAX_INTEGER = 2**63 - 1
"""The largest integer a document may hold: what every MessagePack and JSON reader can take."""

# What YAML does not let through raw (YAML 1.2 section 5.1, c-printable): such text is written as base64.
_NOT_PLAIN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEX = re.compile(r"(?:[0-9a-f]{2})*\Z")
_ORDINARY_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_MAX_SHOWN = 60

T = TypeVar("T")


def bytes_to_plain(data: bytes) -> str | dict[str, object]:
    """The bytes as text where they are UTF-8 that YAML and JSON carry unharmed, else as ``{"base64": "…"}``."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if _NOT_PLAIN.search(text):
        return {"base64": base64.b64encode(data).decode("ascii")}
    return text


class Node:
    """One value of a document, and its place.

    Args:
        value: the value, of any type.
        source: name of the document, for errors.
        parent: the node it was taken from, or None for the document itself.
        key: its key or index in the parent.

    Every method raises `CassetteCorrupt`, naming `place`, when the value is not what the method reads.
    """

    __slots__ = ("_key", "_parent", "_source", "value")

    def __init__(self, value: object, *, source: str, parent: Node | None = None, key: str | int = "") -> None:
        self.value = value
        self._source = source
        self._parent = parent
        self._key = key

    @property
    def place(self) -> str:
        """Where it stands, indices from 0: ``streams[2].events[14].status``; "" for the document itself."""
        if self._parent is None:
            return ""
        above = self._parent.place
        if isinstance(self._key, int):
            return f"{above}[{self._key}]"
        if not _ORDINARY_KEY.match(self._key):
            return f"{above}[{_shown(self._key)}]"
        return f"{above}.{self._key}" if above else self._key

    def fail(self, expected: str) -> NoReturn:
        """Raises `CassetteCorrupt`: at this place ``expected`` was expected."""
        self.reject(f"expected {expected}, found {_kind(self.value)}")

    def reject(self, problem: str) -> NoReturn:
        """Raises `CassetteCorrupt`: at this place there is ``problem``."""
        raise CassetteCorrupt(self._source, f"{self.place or 'the document'}: {problem}")

    def text(self) -> str:
        """Text that can be written as UTF-8."""
        if not isinstance(self.value, str):
            self.fail("text")
        try:
            self.value.encode("utf-8")
        except UnicodeEncodeError:
            self.reject("expected text, found half a surrogate pair in it")
        return self.value

    def data(self) -> bytes:
        """Bytes: text, or ``{"base64": "…"}``; see `bytes_to_plain`."""
        if isinstance(self.value, str):
            return self.text().encode("utf-8")
        if not isinstance(self.value, dict):
            self.fail('text or {"base64": "…"}')
        encoded = self.fields(required=("base64",))["base64"]
        try:
            return base64.b64decode(encoded.text(), validate=True)
        except (binascii.Error, ValueError):
            encoded.fail("base64")

    def hexadecimal(self) -> bytes:
        """Bytes as lower-case hexadecimal digits."""
        text = self.text()
        if not _HEX.match(text):
            self.fail("an even number of lower-case hexadecimal digits")
        return bytes.fromhex(text)

    def integer(self, low: int = 0, high: int = MAX_INTEGER) -> int:
        """An integer from ``low`` to ``high``, both included."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            limits = f"of {low} or more" if high == MAX_INTEGER else f"from {low} to {high}"
            self.fail(f"an integer {limits}")
        return self.value

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            self.fail("true or false")
        return self.value

    def mark(self) -> None:
        """True: the key alone says it."""
        if self.value is not True:
            self.fail("true")

    def choice(self, choices: Mapping[str, T]) -> T:
        """What one of the texts in ``choices`` stands for."""
        if not isinstance(self.value, str) or self.value not in choices:
            self.fail("one of " + ", ".join(choices))
        return choices[self.value]

    def items(self, read: Callable[[Node], T]) -> tuple[T, ...]:
        """The items of a list, each read with ``read``."""
        return tuple(read(item) for item in self)

    def __iter__(self) -> Iterator[Node]:
        """The items of a list."""
        if not isinstance(self.value, list):
            self.fail("a list")
        for index, item in enumerate(self.value):
            yield Node(item, source=self._source, parent=self, key=index)

    def names(self) -> list[str]:
        """The keys of a mapping, in order."""
        if not isinstance(self.value, dict):
            self.fail("a mapping")
        for key in self.value:
            if not isinstance(key, str):
                self.reject(f"expected text as key, found {_kind(key)}")
        return list(self.value)

    def fields(self, *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Node]:
        """The values of a mapping that has all ``required`` keys and no others than the ``optional`` ones."""
        names = self.names()
        assert isinstance(self.value, dict)
        for key in required:
            if key not in self.value:
                self.reject(f"{key} is missing")
        fields = {key: Node(self.value[key], source=self._source, parent=self, key=key) for key in names}
        for key, node in fields.items():
            if key not in required and key not in optional:
                node.reject("unknown key; here can be " + ", ".join(required + optional))
        return fields

    def pair(self) -> tuple[Node, Node]:
        """The two items of a list of two."""
        if not isinstance(self.value, list) or len(self.value) != 2:
            self.fail("a list of two")
        first, second = self
        return first, second


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {_shown(value)}"
        case int():
            # Integers beyond this size are not turned into text: Python refuses to for good reason.
            return f"{value}" if abs(value) < 10**30 else "a huge integer"
        case float():
            return f"the number {value}"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "...")
