"""Who of all that were recorded a live client may be: by what its handshake says, and one for all that are alike."""

from __future__ import annotations

import pytest
from dialogue import cassette, chat

from gp_replay.core.crowd import Crowd, Member
from gp_replay.core.evidence import redacted_heads
from gp_replay.core.explain import Recorded
from gp_replay.core.model import Event, Headers, RequestHead, Side
from gp_replay.core.redaction import RedactionRules, Redactor
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast

SALT = b"0123456789abcdef"
ALICE, BOB = b"Bearer sk-alice-0ZkQ9sHk2mVx81Lq7bRt", b"Bearer sk-bobby-7bRt4wNc5yPd20Ua0ZkQ"


def head(*headers: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(
        at_us=0, stream=1, side=Side.CLIENT, method=b"GET", target=b"/ws", version=b"HTTP/1.1", headers=headers
    )


def recorded(*handshakes: Headers, said: str = "hello {}") -> list[Member]:
    """Recordings as a recorder would have kept them: credentials by pseudonym."""
    redactor = Redactor(RedactionRules(), salt=SALT)
    streams: list[list[Event]] = []
    for number, headers in enumerate(handshakes, 1):
        kept = redactor.head(head(*headers)).headers
        streams.append(chat(number, f"5 < {said.format(number)}", headers=kept))
    tape = cassette(*streams)
    script = compile(tape, server_cast(tape), Rules())
    return [
        (Recorded(number=number, cassette="tape", script=script, entry=entry), script.stream(entry))
        for number, entry in enumerate(script.entries)
    ]


def left(members: list[Member], *live: tuple[bytes, bytes], taken: tuple[int, ...] = ()) -> list[int]:
    """Streams of the candidates; ``taken`` are streams that others have."""
    heads = redacted_heads(head(*live), [SALT])
    found = Crowd(members).candidates(heads, lambda number: number + 1 not in taken)
    return [item.entry.stream for item, _ in found]


def test_the_one_that_alone_agrees_in_everything_that_differs_is_left_alone() -> None:
    candidates = recorded(
        ((b"User-Agent", b"web"), (b"Origin", b"http://a")), ((b"User-Agent", b"cli"), (b"Origin", b"http://a"))
    )
    assert left(candidates, (b"user-agent", b"cli"), (b"Origin", b"http://elsewhere")) == [2]


def test_agreeing_in_more_comes_first_and_equals_stay_in_recorded_order() -> None:
    candidates = recorded(
        ((b"User-Agent", b"web"), (b"X-Tab", b"1")),
        ((b"User-Agent", b"cli"), (b"X-Tab", b"1")),
        ((b"User-Agent", b"cli"), (b"X-Tab", b"2")),
    )
    assert left(candidates, (b"User-Agent", b"cli"), (b"X-Tab", b"9")) == [2, 3, 1]
    assert left(candidates, (b"User-Agent", b"curl")) == [1, 2, 3]


def test_two_that_agree_in_everything_are_both_left() -> None:
    candidates = recorded(((b"User-Agent", b"a"),), ((b"User-Agent", b"b"),), ((b"User-Agent", b"b"),))
    assert left(candidates, (b"User-Agent", b"b")) == [2, 3, 1]


@pytest.mark.parametrize(("credential", "stream"), [(ALICE, 1), (BOB, 2)])
def test_a_credential_is_compared_by_its_pseudonym(credential: bytes, stream: int) -> None:
    candidates = recorded(((b"Authorization", ALICE),), ((b"Authorization", BOB),))
    assert all(ALICE not in dict(script.head.headers).values() for _, script in candidates)
    assert left(candidates, (b"Authorization", credential)) == [stream]


def test_a_short_secret_is_an_ordinal_and_no_evidence() -> None:
    candidates = recorded(((b"X-Api-Key", b"s3cret-a"),), ((b"X-Api-Key", b"s3cret-b"),))
    assert left(candidates, (b"X-Api-Key", b"s3cret-b")) == [1, 2]


def test_of_equal_conversations_the_first_free_one_stands_for_all() -> None:
    members = recorded((), (), (), said="hello")
    assert left(members) == [1]
    assert left(members, taken=(1,)) == [2]
    assert left(members, taken=(1, 2, 3)) == [1]


def test_what_others_have_still_counts() -> None:
    """A client is not taken for somebody because nobody else is left."""
    members = recorded((), ())
    assert left(members, taken=(2,)) == [1, 2]
    named = recorded(((b"X-User", b"alice"),), ((b"X-User", b"bob"),))
    assert left(named, (b"X-User", b"bob"), taken=(2,)) == [2]
