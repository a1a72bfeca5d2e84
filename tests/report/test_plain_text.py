import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import bodies

from gp_replay.report.plain_text import content_lines, excerpt, milliseconds, printable, quoted


def lines(data: bytes, max_bytes: int | None = None) -> list[str]:
    return list(content_lines(data, max_bytes=max_bytes))


@given(st.binary() | st.text())
def test_nothing_printed_can_drive_a_terminal_or_break_a_line(text: str | bytes) -> None:
    shown = printable(text)
    assert not any((ord(letter) < 32 and letter != "\t") or 127 <= ord(letter) < 160 for letter in shown)
    assert shown.splitlines() in ([], [shown])
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('plain é 😀\t{"a\\n": 1}', 'plain é 😀\t{"a\\n": 1}'),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\u009b2J"),
        ("a\r\nb\0", "a\\r\\nb\\0"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\ufeff\u2028\U000e0041", "\\ufeff\\u2028\\U000e0041"),
        ("\ud800", "\\ud800"),
        (b"caf\xc3", "caf\\xc3"),
    ],
)
def test_unsafe_characters_are_escapes_and_the_rest_is_kept(text: str | bytes, shown: str) -> None:
    assert printable(text) == shown


def test_quotes_inside_quotes_are_escaped() -> None:
    assert quoted('say "hi"\n') == '"say \\"hi\\"\\n"'


def test_an_excerpt_counts_what_it_leaves_out() -> None:
    assert excerpt("abc", max_characters=3) == "abc"
    assert excerpt("abcdef", max_characters=3) == "abc... [3 characters left out]"
    assert excerpt(b"abcdef", max_characters=2) == "ab... [4 bytes left out]"


@pytest.mark.parametrize(
    ("us", "text"), [(0, "0.000"), (1, "0.001"), (1200, "1.200"), (10**18, "10" + "0" * 14 + ".000")]
)
def test_milliseconds_have_three_decimals(us: int, text: str) -> None:
    assert milliseconds(us) == text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a", ["| a"]),
        (b"data: x\n\n", ["| data: x", "|", "|"]),
        (b"a\r\nb", ["| a\\r", "| b"]),
        (b"\xe2\x82", ["# 00000000  e282"]),
        ("eight characters é".encode()[:-1], ["| eight characters \\xc3"]),
        (b"coloured \x1b[31mred", ["| coloured \\x1b[31mred"]),
        (
            bytes(range(34)),
            [
                "# 00000000  00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f",
                "# 00000020  2021",
            ],
        ),
    ],
)
def test_content_is_lines_of_text_or_hexadecimal(data: bytes, expected: list[str]) -> None:
    assert lines(data) == expected


@given(bodies, bodies)
def test_different_text_gives_different_lines(left: bytes, right: bytes) -> None:
    if b"\\" not in left + right:
        assert (lines(left) == lines(right)) is (left == right)


@pytest.mark.parametrize(
    ("data", "limit", "expected"),
    [
        (b"abcdef", 6, ["| abcdef"]),
        (b"abcdef", 4, ["| abcd", "[2 bytes left out]"]),
        (b"abcdef", 0, ["[6 bytes left out]"]),
        ("aé".encode() * 2, 2, ["| a", "[5 bytes left out]"]),
        ("aé".encode() * 2, 3, ["| aé", "[3 bytes left out]"]),
        ("😀😀".encode(), 7, ["| 😀", "[4 bytes left out]"]),
        (b"\xff" * 9, 4, ["# 00000000  ffffff", "[6 bytes left out]"]),
    ],
)
def test_a_limit_leaves_whole_characters_and_says_how_much_is_missing(
    data: bytes, limit: int, expected: list[str]
) -> None:
    assert lines(data, limit) == expected
