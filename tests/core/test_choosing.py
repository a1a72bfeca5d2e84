"""Who gets which recording: by content, owner and ids, then by order; and what a request gets when all are used."""

from __future__ import annotations

import pytest
from dialogue import CLIENT, SERVER, ask, cassette, chat

from gp_replay.core.choosing import Choice, Chooser
from gp_replay.core.explain import Request
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Event, Headers, Protocol, RequestHead
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast
from gp_replay.core.terms import OnRepeat, Terms

ONE, TWO, THREE = (f"{digit}b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5" for digit in "012")


class Desk:
    """A chooser over one cassette, asked by live clients."""

    def __init__(self, *streams: list[Event], terms: Terms | None = None, rules: Rules | None = None) -> None:
        rules = rules or Rules()
        tape = cassette(*streams, rules=rules)
        self.chooser = Chooser([("tape", compile(tape, server_cast(tape), rules))], terms or Terms())

    def ask(
        self,
        method: str,
        target: str,
        body: str = "",
        *,
        owner: str | None = None,
        role: str | None = None,
        hosts: tuple[str, ...] = (),
    ) -> str:
        """The label of the answer, with a + where it is served again; or what kind of refusal."""
        head = request_head(method, target, ((b"Content-Type", b"application/json"),))
        return self._outcome(
            Request(protocol=Protocol.HTTP, role=role, head=head, body=body.encode(), owner=owner, hosts=hosts)
        )

    def connect(self, target: str = "/ws", *, owner: str | None = None, headers: Headers = ()) -> str:
        return self._outcome(handshake(target, owner=owner, headers=headers))

    def _outcome(self, request: Request) -> str:
        choice = self.chooser.choose(0, request)
        if isinstance(choice, Refusal):
            return choice.kind
        if request.protocol is Protocol.HTTP and not choice.again:
            self.chooser.confirm(choice.candidates[0], request.owner)
        return " ".join(item.recorded.label.removeprefix("tape#") for item in choice.candidates) + "+" * choice.again


def request_head(method: str, target: str, headers: Headers = ()) -> RequestHead:
    return RequestHead(
        at_us=0,
        stream=1,
        side=CLIENT,
        method=method.encode(),
        target=target.encode(),
        version=b"HTTP/1.1",
        headers=headers,
    )


def handshake(target: str = "/ws", *, owner: str | None = None, headers: Headers = ()) -> Request:
    upgrade = ((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), *headers)
    return Request(protocol=Protocol.WEBSOCKET, role=None, head=request_head("GET", target, upgrade), owner=owner)


@pytest.mark.parametrize(
    ("on_repeat", "expected"),
    [
        (OnRepeat.REFUSE, ["1", "2", "used-up", "used-up", "used-up"]),
        (OnRepeat.LAST, ["1", "2", "2+", "2+", "2+"]),
        (OnRepeat.CYCLE, ["1", "2", "1+", "2+", "1+"]),
    ],
)
def test_equal_requests_are_answered_in_order_then_as_the_terms_say(on_repeat: OnRepeat, expected: list[str]) -> None:
    desk = Desk(ask(1, "POST", "/", "{}"), ask(2, "POST", "/", "{}", at=9), terms=Terms(on_repeat=on_repeat))
    assert [desk.ask("POST", "/", "{}") for _ in expected] == expected
    assert sum(desk.chooser.repeats.values()) == sum(label.endswith("+") for label in expected)


@pytest.mark.parametrize(
    ("method", "times", "expected"),
    [
        ("GET", 2, ["1", "2", "2+", "2+"]),
        ("HEAD", 2, ["1", "2", "2+", "2+"]),
        ("GET", 1, ["1", "used-up"]),
        ("OPTIONS", 1, ["1", "1+", "1+"]),
        ("DELETE", 2, ["1", "2", "used-up"]),
    ],
)
def test_polls_repeat_their_last_answer_and_nothing_else_does(method: str, times: int, expected: list[str]) -> None:
    desk = Desk(*(ask(number + 1, method, "/job", at=number * 9) for number in range(times)))
    assert [desk.ask(method, "/job") for _ in expected] == expected


def test_a_rule_may_let_a_request_repeat() -> None:
    rules = Rules.from_plain({"repeat": [{"path": "/token"}]}, source="test")
    desk = Desk(ask(1, "POST", "/token", "{}"), ask(2, "POST", "/pay", "{}", at=9), rules=rules)
    assert [desk.ask("POST", path, "{}") for path in ("/token", "/token", "/pay", "/pay")] == [
        "1",
        "1+",
        "2",
        "used-up",
    ]


def test_a_recording_is_served_to_its_owner_and_one_without_to_anybody() -> None:
    desk = Desk(
        ask(1, "GET", "/me", owner="alice"), ask(2, "GET", "/me", owner="bob", at=9), ask(3, "GET", "/news", at=20)
    )
    assert desk.ask("GET", "/me", owner="eve") == "owner"
    assert desk.ask("GET", "/me") == "owner"
    assert desk.ask("GET", "/me", owner="bob") == "2"
    assert desk.ask("GET", "/me", owner="alice") == "1"
    assert desk.ask("GET", "/news", owner="eve") == "3"


def test_an_unknown_owner_takes_a_free_recorded_one_and_keeps_it() -> None:
    desk = Desk(
        *(ask(n, "POST", "/note", f'{{"n":"{name}"}}', owner=name, at=n) for n, name in ((1, "alice"), (2, "bob"))),
        *(ask(n, "GET", "/list", owner=name, at=n) for n, name in ((3, "alice"), (4, "bob"))),
        terms=Terms(bind_owners=True),
    )
    assert desk.ask("POST", "/note", '{"n":"carol"}', owner="carol") == "1"
    assert desk.ask("POST", "/note", '{"n":"dave"}', owner="dave") == "2"
    assert desk.ask("GET", "/list", owner="dave") == "4"
    assert desk.ask("GET", "/list", owner="carol") == "3"
    assert desk.ask("POST", "/note", '{"n":"erin"}', owner="erin") not in ("1", "2")


def test_ids_given_to_another_choose_another_recording_and_foreign_ones_none() -> None:
    desk = Desk(
        ask(1, "POST", "/open", f'{{"id":"{ONE}"}}'),
        ask(2, "POST", "/close", f'{{"id":"{TWO}"}}', at=9),
        ask(3, "POST", "/close", f'{{"id":"{ONE}"}}', at=19),
    )
    assert desk.ask("POST", "/open", f'{{"id":"{THREE}"}}') == "1"
    assert desk.ask("POST", "/close", f'{{"id":"{THREE}"}}') == "3"
    assert desk.chooser.bindings.live(ONE.encode()) == THREE.encode()


def test_a_form_recorded_in_two_roles_needs_a_path_or_a_host_that_names_one() -> None:
    def desk() -> Desk:
        return Desk(ask(1, "GET", "/health", role="a"), ask(2, "GET", "/health", role="b"))

    assert desk().ask("GET", "/health") == "ambiguous"
    assert desk().ask("GET", "/health", role="b") == "2"
    assert desk().ask("GET", "/health", hosts=("b.test",)) == "2"
    assert desk().ask("GET", "/health", hosts=("elsewhere.test",)) == "ambiguous"
    assert desk().ask("GET", "/health", role="c") == "no-match"


def test_a_poll_waits_for_what_happened_to_the_same_id_between_it_and_the_poll_before() -> None:
    run = f"/runs?id={ONE}"
    desk = Desk(
        ask(1, "POST", f"/begin?id={ONE}", "{}", at=1),
        ask(2, "GET", run, at=20),
        ask(3, "POST", f"/submit?id={ONE}", "{}", at=50),
        ask(4, "POST", f"/submit?id={TWO}", "{}", at=60),
        ask(5, "GET", run, at=100),
    )
    request = Request(protocol=Protocol.HTTP, role=None, head=request_head("GET", run, ask_headers()))
    first, second = desk.chooser.choose(0, request), desk.chooser.choose(0, request)
    assert isinstance(first, Choice)
    assert isinstance(second, Choice)
    assert [first.behind, second.behind] == [{0}, {2}]


def ask_headers() -> Headers:
    return ((b"Content-Type", b"application/json"),)


def test_connections_stay_candidates_until_one_is_settled_for_good() -> None:
    desk = Desk(chat(1, "5 > rome"), chat(2, "5 > oslo"))
    choice = desk.chooser.choose(0, handshake())
    again = desk.chooser.choose(0, handshake())
    assert isinstance(choice, Choice)
    assert isinstance(again, Choice)
    assert [item.recorded.label for item in choice.candidates] == ["tape#1", "tape#2"]
    assert desk.chooser.settle(choice.candidates, None)
    assert [item.recorded.label for item in choice.candidates] == ["tape#1"]
    assert not desk.chooser.may_be_claimed(choice.candidates[0], None)
    assert desk.chooser.settle(again.candidates, None)
    assert [item.recorded.label for item in again.candidates] == ["tape#2"]
    assert desk.connect() == "used-up"
    desk.chooser.release(choice.candidates[0])
    assert desk.connect() == "1 2"


def test_our_own_client_parts_answer_nobody() -> None:
    tape = cassette(ask(1, "GET", "/a", role="llm"), ask(2, "GET", "/b", role="chat"))
    chooser = Chooser([("tape", compile(tape, {"llm": SERVER, "chat": CLIENT}, Rules()))], Terms())
    assert [item.label for item in chooser.ours] == ["tape#2"]
    assert chooser.unclaimed == [0]
    outcomes = []
    for target in ("/a", "/b"):
        head = request_head("GET", target, ask_headers())
        outcomes.append(chooser.choose(0, Request(protocol=Protocol.HTTP, role=None, head=head)))
    assert isinstance(outcomes[0], Choice)
    assert isinstance(outcomes[1], Refusal)
