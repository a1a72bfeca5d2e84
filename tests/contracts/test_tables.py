"""Tables of a TOML file: a member is what it should be, or the error names it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gp_replay.contracts.findings import Level
from gp_replay.contracts.tables import Table
from gp_replay.errors import UsageError


def test_members_are_read_by_type_with_defaults() -> None:
    table = Table({"a": "x", "b": True, "n": 2, "s": 1.5, "t": ["x"], "l": "note", "in": {"k": 1}, "many": [{}]}, "f")
    assert (table.text("a"), table.text("z", "d"), table.flag("b"), table.flag("z")) == ("x", "d", True, False)
    assert (table.count("n", 0), table.count("z", 7), table.seconds("s"), table.seconds("n")) == (2, 7, 1.5, 2.0)
    assert (table.texts("t"), table.texts("z"), table.level("l", Level.ERROR)) == (("x",), (), Level.NOTE)
    assert (table.table("in").names(), table.table("z").names(), len(table.tables("many"))) == (["k"], [], 1)
    assert table.has("a")
    assert not table.has("z")


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda table: table.text("n"), "f: n is 1"),
        (lambda table: table.text("z"), "f: z is missing"),
        (lambda table: table.flag("n"), "f: n is 1"),
        (lambda table: table.count("b", 0), "f: b is True"),
        (lambda table: table.count("minus", 0), "f: minus is -1"),
        (lambda table: table.seconds("minus"), "f: minus is -1"),
        (lambda table: table.seconds("nan"), "f: nan is nan"),
        (lambda table: table.seconds("z"), "f: z is missing"),
        (lambda table: table.texts("n"), "f: n is 1"),
        (lambda table: table.level("t", Level.NOTE), "f: t is 'x'"),
        (lambda table: table.table("n"), "f: n is no table"),
        (lambda table: table.tables("n"), "f: n is no list of tables"),
        (lambda table: table.only("n"), "f: b is not known"),
        (lambda table: table.table("in").text("k"), "f: in.k is 1"),
        (lambda table: table.tables("many")[0].text("k"), "f: many[0].k is 1"),
    ],
)
def test_an_error_names_the_member_and_what_to_do(read: Callable[[Table], object], problem: str) -> None:
    plain = {"n": 1, "b": True, "minus": -1, "nan": float("nan"), "t": "x", "in": {"k": 1}, "many": [{"k": 1}]}
    with pytest.raises(UsageError) as error:
        read(Table(plain, "f"))
    assert str(error.value) == problem
    assert error.value.hint
