"""Deltas are rewritten as the joined text they are."""

from __future__ import annotations

import json

import pytest

from gp_replay.core.deltas import Deltas, EventStreamDeltas
from gp_replay.core.redaction import RedactionRules, Redactor

KEY = "sk-abcdefghij0123456789ABCD"


def redactor() -> Redactor:
    return Redactor(RedactionRules(), salt=b"0123456789abcdef")


def pseudonym(text: str = KEY) -> str:
    return redactor().value(text.encode()).decode()


def unit(text: str, **more: object) -> bytes:
    return json.dumps({"choices": [{"delta": {"content": text}, **more}]}).encode()


def rewritten(units: list[bytes]) -> list[bytes]:
    deltas = Deltas(redactor())
    out = [done for raw in units for done in deltas.feed(raw, json_at=(0, len(raw)))] + deltas.finish()
    assert [len(raw) for raw in out] == [len(raw) for raw in units]
    return out


def contents(units: list[bytes]) -> str:
    return "".join(json.loads(raw)["choices"][0]["delta"]["content"] for raw in units)


@pytest.mark.parametrize("cut", range(1, len(KEY)))
def test_a_secret_cut_anywhere_is_found_and_each_delta_gets_its_share(cut: int) -> None:
    out = rewritten([unit("Use "), unit(KEY[:cut]), unit(KEY[cut:]), unit(" now")])
    assert contents(out) == f"Use {pseudonym()} now"


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_secret_cut_over_many_deltas_is_found(size: int) -> None:
    text = f"Use {KEY} now."
    out = rewritten([unit(text[n : n + size]) for n in range(0, len(text), size)])
    assert contents(out) == f"Use {pseudonym()} now."


@pytest.mark.parametrize("size", [1, 3, 9, 21])
def test_names_count_within_the_joined_text(size: int) -> None:
    arguments = '{"city": "Rome", "api_key": "hunter2hunter2", "max_tokens": 5}'
    out = rewritten([unit(arguments[n : n + size]) for n in range(0, len(arguments), size)])
    assert contents(out) == arguments.replace("hunter2hunter2", pseudonym("hunter2hunter2"))


def test_texts_that_take_turns_are_not_mixed() -> None:
    units = [unit(KEY[:9], index=0), unit("plain", index=1), unit(KEY[9:], index=0), unit(" text", index=1)]
    out = rewritten(units)
    assert contents(out[::2]) == pseudonym()
    assert contents(out[1::2]) == "plain text"


def test_escapes_stay_escapes_of_the_same_length() -> None:
    units = [unit("@"), unit(KEY[:6]).replace(b"sk", b"\\u0073k"), unit(KEY[6:])]
    assert contents(rewritten(units)) == "@" + pseudonym()


def test_ordinary_words_are_not_withheld() -> None:
    deltas = Deltas(redactor())
    for word in ("Hello", " world", ",", " tasks", " and", " 42", "\n"):
        raw = unit(word)
        assert deltas.feed(raw, json_at=(0, len(raw))) == [raw]


def test_a_text_that_does_not_go_on_is_let_go() -> None:
    deltas = Deltas(redactor())
    other = b'{"ping":1}'
    assert deltas.feed(unit("sk-ab"), json_at=(0, len(unit("sk-ab")))) == []
    released = [deltas.feed(other, json_at=(0, len(other))) for _ in range(20)]
    assert sum(map(len, released)) == 21


def test_units_too_large_for_deltas_pass() -> None:
    raw = unit("x" * 5000 + "sk")
    assert Deltas(redactor()).feed(raw, json_at=(0, len(raw))) == [raw]


def test_what_is_withheld_is_bounded() -> None:
    deltas = Deltas(redactor())
    held = 0
    for raw in [unit('{"api_key": "'), *(unit("x" * 20) for _ in range(3000))]:
        held += len(raw) - sum(map(len, deltas.feed(raw, json_at=(0, len(raw)))))
        assert held <= 70_000


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_events_cut_by_reads_are_joined(end: bytes, size: int) -> None:
    line = end[: len(end) // 2]
    events = [b"event: x" + line + b"data: " + unit(text) + end for text in ("Use ", KEY[:4], KEY[4:], " now")]
    stream = b"".join([*events, b"data: [DONE]" + end])
    pieces = [stream[n : n + size] for n in range(0, len(stream), size)]
    deltas = EventStreamDeltas(redactor())
    out = [done for piece in pieces for done in deltas.feed(piece)] + deltas.finish()
    assert [len(piece) for piece in out] == [len(piece) for piece in pieces]
    expected = stream.replace(KEY[:4].encode() + b'"', pseudonym()[:4].encode() + b'"')
    assert b"".join(out) == expected.replace(KEY[4:].encode(), pseudonym()[4:].encode())


def test_plain_text_and_lines_of_json_are_joined_too() -> None:
    for lines, wrap in ((False, b"data: %s\n\n"), (True, b'{"response":"%s"}\n')):
        deltas = EventStreamDeltas(redactor(), lines=lines)
        pieces = [wrap % KEY[:7].encode(), wrap % KEY[7:].encode(), wrap % b" ok"]
        out = [done for piece in pieces for done in deltas.feed(piece)] + deltas.finish()
        made = pseudonym().encode()
        assert out == [wrap % made[:7], wrap % made[7:], wrap % b" ok"]
