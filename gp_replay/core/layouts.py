"""Layouts: which fields a record has, in which order, of which type, with which default. `codec` has the tables.

A field type reads plain data into a value of the model, and writes it back. Both directions check: what is written can
always be read. Whatever a type does not like is a ValueError that says what it wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar, cast

from gp_replay.core.model import Fragment, Headers
from gp_replay.core.records import MAX_INT, Plain, shown

__all__ = [
    "BOOL",
    "BYTES",
    "FRAGMENTS",
    "HEADERS",
    "NUMBER",
    "PAIRS",
    "REQUIRED",
    "TEXT",
    "TEXTS",
    "Field",
    "FieldType",
    "Layout",
    "blob",
    "choice",
    "number",
    "optional",
    "tuple_of",
]

T = TypeVar("T")
REQUIRED = object()
"""Stands for "no default"."""


@dataclass(frozen=True, slots=True)
class FieldType:
    """A type of field.

    Attributes:
        read: plain data to a value. Raises ValueError.
        write: a value to plain data. Raises ValueError.
    """

    read: Callable[[object], object]
    write: Callable[[object], Plain]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the name of the model's attribute, its type, and the default that may be left out at the end."""

    name: str
    type: FieldType
    default: object = REQUIRED


@dataclass(frozen=True, slots=True)
class Layout(Generic[T]):
    """How a value of the model stands in an array.

    Attributes:
        make: the class, called with all fields by name.
        fields: in their order in the array; those with a default last.
    """

    make: Callable[..., T]
    fields: tuple[Field, ...]

    def read(self, values: Sequence[object], **more: object) -> T:
        """The value that an array stands for. Items beyond the known fields are ignored.

        Args:
            values: the array.
            more: further arguments of ``make``.

        Raises:
            ValueError: too few items, or one that its field does not allow.
        """
        given = len(values)
        for index, field in enumerate(self.fields):
            if index < given:
                try:
                    more[field.name] = field.type.read(values[index])
                except ValueError as error:
                    raise ValueError(f"{field.name}: {error}") from error
            elif field.default is REQUIRED:
                raise ValueError(f"{field.name} is missing")
            else:
                more[field.name] = field.default
        return self.make(**more)

    def write(self, value: T) -> list[Plain]:
        """The array that stands for ``value``; defaults at the end are left out.

        Raises:
            ValueError: a field holds what the format has no room for.
        """
        values: list[Plain] = []
        needed = 0
        for field in self.fields:
            item = getattr(value, field.name)
            try:
                values.append(field.type.write(item))
            except ValueError as error:
                raise ValueError(f"{field.name}: {error}") from error
            if item != field.default:
                needed = len(values)
        return values[:needed]


def _unfit(value: object, wanted: str) -> ValueError:
    return ValueError(f"{shown(value)} is not {wanted}")


def number(low: int, high: int) -> FieldType:
    """An integer from ``low`` to ``high``. True and 1.0 are none."""

    def check(value: object) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise _unfit(value, f"an integer from {low} to {high}")

    return FieldType(check, check)


def blob(*sizes: int) -> FieldType:
    """Bytes, of one of the given sizes."""

    def check(value: object) -> bytes:
        if type(value) is bytes and len(value) in sizes:
            return value
        raise _unfit(value, f"binary of {' or '.join(map(str, sizes))} bytes")

    return FieldType(check, check)


def choice(members: type[Enum]) -> FieldType:
    """A member of an enumeration, stored as its value (all of them integers, or all text)."""
    by_value = {member.value: member for member in members}
    stored = type(next(iter(by_value)))

    def read(value: object) -> Enum:
        member = by_value.get(value) if type(value) is stored else None
        if member is None:
            raise _unfit(value, f"one of {', '.join(map(str, by_value))}")
        return member

    def write(value: object) -> Plain:
        if not isinstance(value, members):
            raise _unfit(value, f"a {members.__name__}")
        return cast(Plain, value.value)

    return FieldType(read, write)


def optional(inner: FieldType) -> FieldType:
    """Nil, or what ``inner`` allows."""
    return FieldType(
        lambda value: None if value is None else inner.read(value),
        lambda value: None if value is None else inner.write(value),
    )


def tuple_of(inner: FieldType | Layout[T]) -> FieldType:
    """Any number of values, as an array."""

    def read(value: object) -> tuple[object, ...]:
        if type(value) is not list:
            raise _unfit(value, "an array")
        if isinstance(inner, FieldType):
            return tuple(inner.read(item) for item in value)
        if not all(type(item) is list for item in value):
            raise _unfit(value, "an array of arrays")
        return tuple(inner.read(item) for item in value)

    def write(value: object) -> Plain:
        if not isinstance(value, tuple):
            raise _unfit(value, "a tuple")
        return [inner.write(item) for item in value]

    return FieldType(read, write)


def _bool(value: object) -> bool:
    if type(value) is bool:
        return value
    raise _unfit(value, "a boolean")


def _bytes(value: object) -> bytes:
    if type(value) is bytes:
        return value
    raise _unfit(value, "binary")


def _text(value: object) -> str:
    if type(value) is not str:
        raise _unfit(value, "text")
    if not value.isascii():
        value.encode()  # UnicodeEncodeError is a ValueError: a lone surrogate has no UTF-8
    return value


def _read_headers(value: object) -> Headers:
    if type(value) is not list:
        raise _unfit(value, "an array")
    pairs: list[tuple[bytes, bytes]] = []
    for pair in value:
        if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not bytes or type(pair[1]) is not bytes:
            raise _unfit(pair, "a pair of binary")
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)


def _write_headers(value: object) -> Plain:
    if not isinstance(value, tuple):
        raise _unfit(value, "a tuple")
    pairs: list[Plain] = [list(pair) for pair in value]
    _read_headers(pairs)
    return pairs


def _pair_of_text(value: object) -> tuple[str, str]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise _unfit(value, "a pair of text")
    return _text(value[0]), _text(value[1])


NUMBER = number(0, MAX_INT)
BOOL = FieldType(_bool, _bool)
BYTES = FieldType(_bytes, _bytes)
TEXT = FieldType(_text, _text)
HEADERS = FieldType(_read_headers, _write_headers)
FRAGMENTS = tuple_of(Layout(Fragment, (Field("length", NUMBER), Field("at_us", NUMBER))))
TEXTS = tuple_of(TEXT)
PAIRS = tuple_of(FieldType(_pair_of_text, lambda value: list(_pair_of_text(value))))
