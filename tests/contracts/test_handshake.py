"""HS-1 to HS-9, each found where it is and not where it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conversations import CLIENT, GOLDEN, RUN, SERVER, WELCOME, Talk, check, findings, rules, spoken

from gp_replay.contracts.findings import Level
from gp_replay.contracts.said import What
from gp_replay.core.model import How

BOTH = ((CLIENT, 1000), (SERVER, 1000))


def levels(talk: Talk) -> list[tuple[str, Level]]:
    return [(found.rule, found.level) for found in findings([talk])]


@pytest.mark.parametrize(
    ("end", "found"),
    [
        (((SERVER, 1011),), ["HS-1"]),
        (((SERVER, 1006),), ["HS-1"]),
        (((SERVER, 1008),), ["connection_established.missing"]),
        (((CLIENT, 1000), (SERVER, 1000)), ["connection_established.missing"]),
    ],
)
def test_hs1_accepted_and_closed_without_a_welcome(
    end: tuple[tuple[object, int | None], ...], found: list[str]
) -> None:
    assert rules(spoken(end=end)) == found


def test_hs1_says_how_long_it_took_and_counts_a_transport_that_broke() -> None:
    talk = spoken(end=())
    gone = replace(talk.said()[-1], what=What.GONE, how=How.RESET, side=SERVER, at_us=65_000)
    (found,) = check([*talk.said(), gone])
    assert (found.rule, found.came) == ("HS-1", "gone (reset) without a close frame 63.0 ms after 101, without it")
    assert [finding.rule for finding in check([*talk.said(), replace(gone, how=How.CUT)])] == [
        "connection_established.missing"
    ]


def test_hs2_and_hs4_a_client_that_speaks_too_early_and_is_not_heard() -> None:
    early = RUN[0].replace("10", "3")
    assert levels(spoken(early, WELCOME, *RUN[1:])) == [("HS-2", Level.ERROR)]
    assert levels(spoken(early, WELCOME)) == [
        *(("HS-2", Level.ERROR), ("request.answered", Level.ERROR), ("HS-4", Level.WARNING))
    ]
    assert levels(spoken("3 > ping", WELCOME, "10 < pong")) == [("HS-2", Level.ERROR)]
    assert levels(spoken("3 > ping", WELCOME)) == [("HS-2", Level.ERROR), ("HS-4", Level.WARNING)]


@pytest.mark.parametrize("kind", ["agent_started run_id=r1 agent_name=boss", "heartbeat", "error_message", "weather"])
def test_hs3_the_server_says_something_else_first(kind: str) -> None:
    assert "HS-3" in rules(spoken(f"3 < {kind}", WELCOME))


def test_hs3_a_probe_may_come_first() -> None:
    assert rules(spoken("3 < handshake_validation validation_id=test_1", WELCOME)) == []


def test_hs5_a_connection_that_changes_its_id() -> None:
    same, other = "40 < heartbeat data.connection_id=main_1", "50 < heartbeat data.connection_id=main_9"
    assert rules(spoken(WELCOME, same)) == []
    assert rules(spoken(WELCOME, same, other, other)) == ["HS-5"]


@pytest.mark.parametrize(
    ("end", "found"),
    [
        (((SERVER, 1011), (CLIENT, 1011)), [("HS-6", Level.WARNING)]),
        (((SERVER, 1001),), [("HS-6", Level.WARNING)]),
        (((SERVER, None),), [("HS-6", Level.WARNING)]),
        (((SERVER, 1000),), []),
        (BOTH, []),
        (((CLIENT, 1001), (SERVER, 1011)), []),
    ],
)
def test_hs6_the_server_closes_without_a_word(end: tuple[tuple[object, int | None], ...], found: object) -> None:
    assert levels(spoken(WELCOME, *RUN, end=end)) == found


def test_hs6_an_error_message_or_no_exchange_is_no_finding() -> None:
    assert rules(spoken(WELCOME, *RUN, "95 < error_message error_code=X", end=((SERVER, 1011),))) == []
    assert rules(spoken(WELCOME, end=((SERVER, 1011),))) == []


@pytest.mark.parametrize(
    ("offered", "selected", "found"),
    [
        (("jwt-auth", "jwt.abcdefghijkl"), "jwt-auth", []),
        ((), None, []),
        (("jwt-auth",), None, []),
        (("jwt.abcdefghijkl",), "jwt-auth", ["HS-7"]),
        ((), "chat", ["HS-7"]),
        (("jwt.abcdefghijkl",), "jwt.abcdefghijkl", ["HS-7"]),
    ],
)
def test_hs7_what_may_be_selected(offered: tuple[str, ...], selected: str | None, found: list[str]) -> None:
    talk = spoken(WELCOME, offered=offered, selected=selected)
    assert rules(talk) == found
    assert "abcdefghijkl" not in str(findings([talk])), "a token is not shown"


def test_hs8_one_welcome_with_what_it_must_carry() -> None:
    assert rules(spoken(WELCOME, WELCOME)) == ["HS-8"]
    assert rules(spoken("5 < connection_established data.mode=main data.connection_id=main_1")) == []
    (found,) = findings([spoken("5 < connection_established mode=main user_id=alice")])
    assert (found.rule, found.place) == ("HS-8", "connection_id")


@pytest.mark.parametrize(
    "text",
    [
        "Need_to_call_'accept'_first",
        'Need to call \\"accept\\" first',
        "connection_closed_before_message_was_received",
        "never_reached_ready_state",
    ],
)
def test_hs9_error_texts_that_give_the_race_away(text: str) -> None:
    talk = spoken(WELCOME)
    talk.lines += spoken("9 < error_message").lines
    talk.lines[-1] = talk.lines[-1].with_(error_message=text.replace("_", " ").replace("\\", ""))
    assert rules(talk) == ["HS-9"]


def test_hs9_in_the_reason_of_a_close() -> None:
    everything = spoken(WELCOME, end=((SERVER, 1011),)).said()
    everything[-1] = replace(everything[-1], reason="WebSocket never reached ready state")
    assert [found.rule for found in check(everything)] == ["HS-9"]


def test_a_refused_upgrade_is_a_warning_and_no_conversation() -> None:
    opened = spoken().said()[0]
    (found,) = check([opened, replace(opened, what=What.REFUSED, side=SERVER, status=403)])
    assert (found.rule, found.level, found.came) == ("handshake.refused", Level.WARNING, "HTTP 403")


def test_a_contract_without_a_handshake_asks_for_none() -> None:
    assert rules(spoken(*RUN), contract=replace(GOLDEN, handshake=None, rules=(), isolation=None)) == []
