"""The strings in raw JSON, and writing them back byte for byte as long."""

from __future__ import annotations

import json
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.json_strings import cut_escape, decoded, json_strings, unescaped, write_back

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DOCUMENTS: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), inner),
    max_leaves=12,
)


def walk(value: Json, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    match value:
        case str():
            return [(path, value)]
        case list():
            return [found for n, item in enumerate(value) for found in walk(item, (*path, n))]
        case dict():
            return [found for name, item in value.items() for found in walk(item, (*path, name))]
        case _:
            return []


@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 2]))
def test_every_string_value_is_found_with_its_path(document: Json, ascii_only: bool, indent: int | None) -> None:
    raw = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    found = [(string.path, json.loads(b'"' + raw[string.start : string.end] + b'"')) for string in json_strings(raw)]
    assert found == walk(document)


@given(st.binary(max_size=60) | st.text('{}[]",:\\ab', max_size=60).map(str.encode))
def test_garbage_never_raises(raw: bytes) -> None:
    for string in json_strings(raw):
        assert 0 <= string.start <= string.end <= len(raw)
        decoded(raw[string.start : string.end])


def test_deep_nesting_stops_the_scan() -> None:
    assert json_strings(b"[" * 100_000 + b'"x"') == []


@pytest.mark.parametrize(
    ("raw", "changed", "written"),
    [
        (rb"sk-ab", b"sk-xy", rb"sk-xy"),
        (rb"\u0073k-ab", b"tk-xy", rb"\u0074k-xy"),
        (rb"a\nb\"c", b'x\ny"z', rb"x\ny\"z"),
        (rb"\u00e9a", "éb".encode(), rb"\u00e9b"),
        (rb"\/a", b"/b", rb"\/b"),
    ],
)
def test_changes_are_written_back_into_the_escapes_they_came_from(raw: bytes, changed: bytes, written: bytes) -> None:
    assert len(decoded(raw)) == len(changed)
    assert write_back(raw, changed) == written


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (rb'{"a":"\u0073k-x\/y"}', b'{"a":"sk-x/y"}'),
        (rb'"{\"a\":\"\\u0073k\"}"', rb'"{\"a\":\"sk\"}"'),
        (rb"\u000ask", b"\nsk"),
    ],
)
def test_needless_escapes_are_read_as_what_they_stand_for(raw: bytes, text: bytes) -> None:
    plain = unescaped(raw)
    assert plain is not None
    assert plain.text == text
    assert plain.raw_offset(len(text)) == len(raw)
    assert plain.raw_data(0, text) == raw
    assert len(plain.raw_data(0, text.replace(b"s", b"t"))) == len(raw)


@pytest.mark.parametrize("raw", [b"plain", rb"\u0022 \u005c \u00e9 \n", rb"caf\u00e9"])
def test_escapes_that_are_needed_stay(raw: bytes) -> None:
    assert unescaped(raw) is None


@pytest.mark.parametrize(
    ("raw", "cut"),
    [
        (b"abc", 3),
        (b"abc\\", 3),
        (rb"abc\u", 3),
        (rb"abc\u007", 3),
        (rb"abc\u0073", 9),
        (rb"abc\n", 5),
        (rb"abc\\\u0", 3),
    ],
)
def test_an_escape_cut_by_the_end_is_told(raw: bytes, cut: int) -> None:
    assert cut_escape(raw) == cut
