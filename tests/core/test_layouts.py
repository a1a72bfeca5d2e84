"""Field types: what fits passes as it is, what does not is refused by name."""

from __future__ import annotations

import pytest

from gp_replay.core.layouts import (
    BOOL,
    BYTES,
    HEADERS,
    NUMBER,
    PAIRS,
    TEXT,
    TEXTS,
    FieldType,
    blob,
    choice,
    number,
    optional,
    tuple_of,
)
from gp_replay.core.model import How

FITS = [
    (BOOL, True, True),
    (BYTES, b"x", b"x"),
    (NUMBER, 0, 0),
    (TEXT, "é", "é"),
    (TEXTS, ["a", "b"], ("a", "b")),
    (PAIRS, [["a", "b"]], (("a", "b"),)),
    (HEADERS, [[b"A", b"1"]], ((b"A", b"1"),)),
    (number(-1, 1), -1, -1),
    (blob(0, 2), b"", b""),
    (choice(How), "eof", How.EOF),
    (optional(TEXT), None, None),
    (tuple_of(NUMBER), [1, 2], (1, 2)),
]
UNFIT = [
    (BOOL, 1),
    (BYTES, "x"),
    (NUMBER, -1),
    (NUMBER, True),
    (NUMBER, 2**53),
    (TEXT, b"x"),
    (TEXTS, ["a", b"b"]),
    (PAIRS, [["a"]]),
    (HEADERS, [[b"A", "1"]]),
    (HEADERS, [b"A"]),
    (number(-1, 1), 2),
    (blob(0, 2), b"x"),
    (choice(How), "no"),
    (choice(How), []),
    (optional(TEXT), 5),
    (tuple_of(NUMBER), 5),
]


@pytest.mark.parametrize(("kind", "plain", "value"), FITS)
def test_what_fits_is_read_and_written_back(kind: FieldType, plain: object, value: object) -> None:
    assert kind.read(plain) == value
    assert kind.write(value) == plain


@pytest.mark.parametrize(("kind", "plain"), UNFIT)
def test_what_does_not_fit_is_a_value_error(kind: FieldType, plain: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        kind.read(plain)
