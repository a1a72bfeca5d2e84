from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import get_args

import pytest

from gp_replay.core import model
from gp_replay.core.model import (
    Event,
    Fragment,
    Message,
    Opcode,
    Pong,
    Side,
    Wire,
    header_value,
    header_values,
)


@pytest.mark.parametrize(("at_us", "stream"), [(-1, 1), (0, 0), (0, -1)])
def test_an_event_has_a_time_from_0_and_a_stream_from_1(at_us: int, stream: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Pong(at_us=at_us, stream=stream, side=Side.CLIENT, data=b"")
    assert Pong(at_us=0, stream=1, side=Side.CLIENT, data=b"").data == b""


@pytest.mark.parametrize(
    ("lengths", "valid"), [((), True), ((2, 1), True), ((3, 0), True), ((2, 2), False), ((0, 0), False)]
)
def test_fragments_add_up_to_the_message(lengths: tuple[int, ...], valid: bool) -> None:
    fragments = tuple(Fragment(length=length, at_us=0) for length in lengths)

    def build() -> Message:
        return Message(at_us=0, stream=1, side=Side.SERVER, opcode=Opcode.TEXT, data=b"abc", fragments=fragments)

    if valid:
        assert build().fragments == fragments
    else:
        with pytest.raises(ValueError, match="do not add up"):
            build()


def test_every_value_is_frozen_and_without_a_dict() -> None:
    values = [value for name in model.__all__ if is_dataclass(value := getattr(model, name))]
    assert len(values) > 15
    for value in values:
        assert value.__dataclass_params__.frozen
        assert "__slots__" in vars(value)
        assert all(field.kw_only for field in fields(value))
    with pytest.raises(FrozenInstanceError):
        Fragment(length=1, at_us=0).length = 2  # type: ignore[misc]


def test_every_event_says_when_where_and_by_whom() -> None:
    assert all(issubclass(event, Wire) for event in get_args(Event))


def test_each_side_has_another() -> None:
    assert [side.other for side in Side] == [Side.SERVER, Side.CLIENT]


def test_a_header_is_found_whatever_its_spelling() -> None:
    headers = ((b"X-A", b"1"), (b"b", b"2"), (b"x-a", b"3"))
    assert header_values(headers, b"x-a") == [b"1", b"3"]
    assert header_value(headers, b"x-a") == b"1"
    assert header_value(headers, b"c") is None
    assert header_values(headers, b"c") == []
