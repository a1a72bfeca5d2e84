import io

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import bodies, cassettes, names

from gp_replay.core.document import Document, from_document, ordered_events, to_document
from gp_replay.core.index import MemoryCassette
from gp_replay.errors import CassetteCorrupt
from gp_replay.interop.documents import dump_json, dump_yaml, load_json, load_yaml


def as_yaml(document: Document) -> str:
    stream = io.StringIO()
    dump_yaml(document, stream)
    return stream.getvalue()


def as_json(document: Document) -> str:
    stream = io.StringIO()
    dump_json(document, stream)
    return stream.getvalue()


@settings(max_examples=100)
@given(cassettes())
def test_a_cassette_survives_yaml_and_json(cassette: MemoryCassette) -> None:
    document = to_document(cassette)
    assert load_yaml(as_yaml(document)) == document
    assert load_json(as_json(document)) == document
    assert from_document(load_yaml(as_yaml(document))) == (cassette.header, ordered_events(cassette))


@given(st.lists(names | bodies.map(lambda data: data.decode("utf-8", "replace")), max_size=4))
def test_any_text_survives_and_other_yaml_readers_agree(texts: list[str]) -> None:
    document: Document = {"texts": texts, "mixed": [*texts, 1]}
    assert load_yaml(as_yaml(document)) == document
    assert load_json(as_json(document)) == document
    assert yaml.safe_load(as_yaml(document)) == document


@given(st.text(st.characters(codec="utf-8", categories=["Cc", "Zl", "Zp", "Cf"])))
def test_written_text_has_no_control_characters(text: str) -> None:
    for written in (as_yaml({"text": text}), as_json({"text": text})):
        assert not any((ord(letter) < 32 and letter not in "\n\t") or 127 <= ord(letter) < 160 for letter in written)


def test_yaml_reads_well() -> None:
    document: Document = {
        "name": "golden-path",
        "at": "2026-11-25",
        "yes": "no",
        "number": "1e3",
        "headers": [["Content-Type", "text/event-stream"]],
        "piece": 'data: {"a": 1}\n\n',
        "two": "a\n  b",
        "trailing": "a \n",
        "cr": "a\r\n",
        "on": True,
        "count": 12,
    }
    assert as_yaml(document) == (
        "name: golden-path\n"
        'at: "2026-11-25"\n'
        '"yes": "no"\n'
        'number: "1e3"\n'
        "headers:\n"
        "- [Content-Type, text/event-stream]\n"
        "piece: |+\n"
        '  data: {"a": 1}\n'
        "\n"
        "two: |-\n"
        "  a\n"
        "    b\n"
        'trailing: "a \\n"\n'
        'cr: "a\\r\\n"\n'
        '"on": true\n'
        "count: 12\n"
    )


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("1e3", "1e3"),
        ("2026-11-25", "2026-11-25"),
        ("0x10", "0x10"),
        ("007", "007"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("12", 12),
        ("-3", -3),
        ("'12'", "12"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ('"null"', "null"),
        ("9" * 30, "9" * 30),
    ],
)
def test_unquoted_yaml_is_not_guessed_about(written: str, value: object) -> None:
    assert load_yaml(f"a: {written}") == {"a": value}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x 1", "line 1: anchors and aliases are not allowed"),
        ("a: 1\nb: [*x]", "line 2: anchors and aliases are not allowed"),
        ("a: &x [1]\nb: *x", "line 1: anchors and aliases"),
        ("a: !!python/object:os.system {}", "line 1: tags are not allowed"),
        ("a: !!str 1", "line 1: tags are not allowed"),
        ("a: 1\na: 2", "line 2: the key 'a' is there twice"),
        ("{[a]: 1}", "line 1: a key must be text"),
        ("a: 1\n---\nb: 1", "line 2: a second document"),
        ("[" * 50, "line 1: nested too deeply, the limit is 16"),
        ("a: [", "not YAML"),
        ("a: b: c", "line 1: not YAML"),
        ("a: \x00", "not YAML"),
        ("a: \x1b", "not YAML"),
        ("a: \ud800", "not YAML"),
        ("\tx", "not YAML"),
    ],
)
def test_yaml_that_is_no_document_is_one_error_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(CassetteCorrupt) as caught:
        load_yaml(text, source="x.yaml")
    assert problem in str(caught.value)
    assert str(caught.value).startswith("x.yaml: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1,\n "a": 2}', "the key 'a' is there twice"),
        ("{\n", "line 2: not JSON"),
        ("", "line 1: not JSON"),
        ("[" * 17 + "]" * 17, "nested too deeply, the limit is 16"),
        ("[" * 200_000, "nested too deeply"),
        ("1" * 10_000, "a number is too long"),
    ],
)
def test_json_that_is_no_document_is_one_error(text: str, problem: str) -> None:
    with pytest.raises(CassetteCorrupt) as caught:
        load_json(text, source="x.json")
    assert problem in str(caught.value)


def test_size_and_number_of_values_are_bounded() -> None:
    for load in (load_yaml, load_json):
        with pytest.raises(CassetteCorrupt, match="too large: 9 characters, the limit is 8"):
            load("[1, 2, 3]", max_characters=8)
        with pytest.raises(CassetteCorrupt, match="too many values, the limit is 3"):
            load("[1, 2, 3]", max_values=3)
        assert load("[1, 2, 3]", max_values=4) == [1, 2, 3]
        assert load("[" * 16 + "]" * 16) is not None


@given(st.text(st.sampled_from(list("a:-[]{}&*!|>'\"%@`#,? \n\t\x85\ufeff1~<\ud800")), max_size=30) | st.text())
def test_garbage_is_data_or_one_documented_error(text: str) -> None:
    for load in (load_yaml, load_json):
        try:
            load(text)
        except CassetteCorrupt as error:
            assert str(error)  # noqa: PT017 - either outcome is fine
