"""Which live stream gets which fault, which recording stays free, and what the receipt is told."""

from __future__ import annotations

import pytest
from dialogue import ask, cassette, chat
from staged import Stage

from gp_replay.core.acts import Claim, Pending
from gp_replay.core.faults import parse_fault
from gp_replay.core.index import MemoryCassette
from gp_replay.core.terms import Terms
from gp_replay.core.timing import Pace

WELCOME = '{"type":"connection_established"}'


def staged(recorded: MemoryCassette, *faults: str) -> Stage:
    return Stage(recorded, terms=Terms(pace=Pace(factor=0), faults=tuple(map(parse_fault, faults))))


def answered(stage: Stage, target: str = "/x") -> str:
    """The status of one whole exchange, whose client then leaves."""
    assert isinstance(stage.ask("GET", target), Claim)
    said = stage.until(stage.now_us / 1000)
    stage.player.leave(stage.now_us, stage.lives)
    return said[0].split()[1]


def test_only_the_nth_stream_gets_a_numbered_fault_and_a_retry_gets_what_was_recorded() -> None:
    stage = staged(cassette(ask(1, "GET", "/x")), "http=429#1", "http=503#2")
    assert [answered(stage) for _ in range(3)] == ["429", "503", "200"]
    tally = stage.player.tally
    assert tally.served == ("tape#1",)
    assert (tally.unfinished, tally.unplayed, tally.missed) == ((), (), ())
    assert tally.faults == (("http=429#1", "tape#1", 1), ("http=503#2", "tape#1", 1))


def test_a_numbered_fault_goes_before_one_for_all() -> None:
    stage = staged(cassette(ask(1, "GET", "/x")), "http=500", "http=429#2")
    assert [answered(stage) for _ in range(3)] == ["500", "429", "500"]
    assert stage.player.tally.faults == (("http=500", "tape#1", 2), ("http=429#2", "tape#1", 1))
    assert stage.player.tally.unplayed == ("tape#1",)


def test_a_fault_that_is_asked_for_twice_is_one() -> None:
    stage = staged(cassette(ask(1, "GET", "/x"), ask(2, "GET", "/x", at=5)), "http=429#2", "http=429#2")
    assert [answered(stage) for _ in range(3)] == ["200", "429", "200"]


def test_streams_are_counted_that_the_fault_fits_not_those_of_other_roles() -> None:
    recorded = cassette(ask(1, "GET", "/a", role="one"), ask(2, "GET", "/b", role="two"), chat(3, "5 < hi", role="two"))
    stage = staged(recorded, "two:http=429#1")
    stage.connect()
    stage.until(10)
    assert [answered(stage, "/a"), answered(stage, "/b"), answered(stage, "/b")] == ["200", "429", "200"]


def test_a_request_nobody_recorded_is_missed_all_the_same_and_is_not_counted() -> None:
    stage = staged(cassette(ask(1, "GET", "/x")), "http=429#1")
    stage.ask("GET", "/y")
    assert stage.player.tally.faults == ()
    assert len(stage.player.tally.missed) == 1
    assert answered(stage) == "429"


def test_of_parallel_requests_each_has_a_recording_of_its_own() -> None:
    stage = staged(cassette(ask(1, "GET", "/x"), ask(2, "GET", "/x", at=5)), "http=429#1")
    assert all(isinstance(stage.ask("GET", "/x"), Claim) for _ in range(2))
    assert [line for line in stage.until(0) if line in ("0 429", "0 200")] == ["0 429", "0 200"]


@pytest.mark.parametrize(
    "fault", ["no-welcome-1011#1", "refused-upgrade#1", "silence#1", "cut=1#1", "close-1011-mid-run#1"]
)
def test_after_a_spoiled_connection_the_next_one_gets_the_whole(fault: str) -> None:
    stage = staged(cassette(chat(1, f"5 < {WELCOME}", "10 > go", "20 < one", "30 < two")), fault)
    stage.connect()
    first = stage.until(5_000) + stage.say("go")
    stage.player.leave(stage.now_us, stage.lives)
    assert "two" not in first
    assert stage.player.tally.unplayed == ("tape#1",)
    assert isinstance(stage.connect(), Claim)
    stage.until(5_001)
    assert stage.say("go") == ["one", "two"]
    stage.player.leave(stage.now_us, stage.lives)
    assert stage.player.tally.served == ("tape#1",)


def test_a_fault_that_is_over_before_anybody_knows_whose_recording_it_is_names_all() -> None:
    stage = staged(
        cassette(chat(1, f"5 < {WELCOME}", "10 > rome"), chat(2, f"5 < {WELCOME}", "10 > oslo")), "no-welcome-1011"
    )
    assert isinstance(stage.connect(), Pending)
    assert [line.split(" ", 1)[1] for line in stage.until(100)] == ["101", "close 1011", "over"]
    stage.player.leave(stage.now_us, stage.lives)
    assert stage.player.tally.faults == (("no-welcome-1011", "tape#1 or tape#2", 1),)
    assert stage.player.tally.unplayed == ("tape#1", "tape#2")


def test_what_a_client_says_before_a_held_welcome_is_noted() -> None:
    stage = staged(cassette(chat(1, f"5 < {WELCOME}", '10 > {"type":"start_agent"}', "20 < one")), "welcome-held")
    stage.connect()
    stage.until(50)
    assert stage.say('{"type":"start_agent"}') == [WELCOME, "one"]
    assert stage.player.tally.notes == ("tape#1: the client said type=start_agent before the welcome",)
    assert not stage.player.tally.missed


def test_a_client_that_waits_for_the_welcome_is_not_noted() -> None:
    stage = staged(cassette(chat(1, f"5 < {WELCOME}", "10 > go", "20 < one")), "welcome-held", "welcome-late=1")
    stage.connect()
    assert stage.until(5_000)[-1].endswith(WELCOME)
    assert stage.say("go") == ["one"]
    assert stage.player.tally.notes == ()


def test_a_connection_that_was_cut_for_its_age_counts_as_a_fault_only_when_it_was() -> None:
    stage = staged(cassette(*(chat(n, f"5 < {WELCOME}", "10 > go", "20 < one") for n in (1, 2))), "age-cut=2")
    for until in (1_000, 5_000):
        stage.connect()
        stage.until(until)
        stage.player.leave(stage.now_us, stage.lives)
        assert stage.player.tally.faults == ((("age-cut=2", "tape#2", 1),) if until > 2_000 else ())
