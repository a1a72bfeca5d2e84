import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import bodies

from gp_replay.core.plain import MAX_INTEGER, Node, bytes_to_plain
from gp_replay.errors import CassetteCorrupt


def node(value: object) -> Node:
    return Node(value, source="x.yaml")


@given(bodies)
def test_bytes_survive_as_plain_data(data: bytes) -> None:
    assert node(bytes_to_plain(data)).data() == data


@pytest.mark.parametrize(
    ("data", "plain"),
    [
        (b"", ""),
        (bytes(range(32, 127)), "".join(map(chr, range(32, 127)))),
        (b"data: {}\r\n\t\n", "data: {}\r\n\t\n"),
        ("é😀\ufeff\x85".encode(), "é😀\ufeff\x85"),
        (b"\xff", {"base64": "/w=="}),
        (b"\x1b[2J", {"base64": "G1sySg=="}),
        (b"\0", {"base64": "AA=="}),
        (b"\x7f", {"base64": "fw=="}),
        ("\x84".encode(), {"base64": "woQ="}),
        ("\x9b".encode(), {"base64": "wps="}),
        ("\ufffe".encode(), {"base64": "77++"}),
    ],
)
def test_bytes_are_text_only_where_yaml_and_json_carry_them(data: bytes, plain: object) -> None:
    assert bytes_to_plain(data) == plain


@pytest.mark.parametrize(
    ("read", "value", "problem"),
    [
        (Node.text, 1, "expected text, found 1"),
        (Node.text, "\ud800", "half a surrogate pair"),
        (Node.data, 1.5, "found the number 1.5"),
        (Node.data, {"base64": "a"}, "base64: expected base64, found the text 'a'"),
        (Node.data, {"base64": "é"}, "base64: expected base64"),
        (Node.data, {"hex": "00"}, "base64 is missing"),
        (Node.data, {"base64": "", "x": 1}, "x: unknown key; here can be base64"),
        (Node.data, {1: ""}, "expected text as key, found 1"),
        (Node.hexadecimal, "0G", "hexadecimal"),
        (Node.hexadecimal, "0", "even number"),
        (Node.hexadecimal, "00\n", "hexadecimal"),
        (Node.integer, True, "found true"),
        (Node.integer, -1, "of 0 or more, found -1"),
        (Node.integer, MAX_INTEGER + 1, "an integer"),
        (Node.integer, 10**4000, "a huge integer"),
        (Node.integer, None, "found nothing"),
        (Node.flag, 1, "expected true or false, found 1"),
        (Node.mark, False, "expected true, found false"),
        (list, {}, "expected a list, found a mapping"),
        (Node.names, [], "expected a mapping, found a list of 0"),
        (Node.pair, ["a"], "expected a list of two, found a list of 1"),
        (Node.text, "x".split, "found a builtin_function_or_method"),
    ],
)
def test_a_wrong_value_is_one_error_that_says_what_was_expected(read, value, problem) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CassetteCorrupt) as caught:
        read(node(value))
    assert problem in str(caught.value)
    assert str(caught.value).startswith("x.yaml: corrupt cassette: ")


def test_the_place_names_keys_and_indices() -> None:
    root = node({"streams": [{}, {"events": ["x"]}]})
    stream = list(root.fields(required=("streams",))["streams"])[1]
    (event,) = stream.fields(required=("events",))["events"]
    assert event.place == "streams[1].events[0]"


def test_a_hostile_key_is_escaped_in_the_place() -> None:
    with pytest.raises(CassetteCorrupt) as caught:
        node({"\x1b[2J" * 1000: 1}).fields(required=())
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_choice_lists_what_it_can_be() -> None:
    assert node("a").choice({"a": 1}) == 1
    with pytest.raises(CassetteCorrupt, match="expected one of a, b, found the text 'c'"):
        node("c").choice({"a": 1, "b": 2})


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_any_value_can_be_told_in_an_error(value: object) -> None:
    with pytest.raises(CassetteCorrupt):
        node(value).fail("something else")
