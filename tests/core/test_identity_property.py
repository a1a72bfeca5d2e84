"""Whoever asks, in whatever order: each client lives its own recorded user's conversation, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dialogue import CLIENT, cassette, chat
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_users import (
    ASKED,
    CLIENT_FIRST,
    NAMES,
    SERVER_FIRST,
    SHAPES,
    UPGRADE,
    WORDS,
    WRAPS,
    Client,
    Scene,
    User,
    World,
    Wrap,
    bearer,
)

from gp_replay.core.acts import Refuse, Send
from gp_replay.core.explain import Request
from gp_replay.core.identity import owner_of
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Event, Message, Protocol, RequestHead
from gp_replay.core.player import Player
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast
from gp_replay.core.terms import Terms
from gp_replay.core.timing import Pace

BOTH, NEVER = st.booleans(), st.just(False)


def users(ways: st.SearchStrategy[str], owners: st.SearchStrategy[str | None]) -> st.SearchStrategy[tuple[User, ...]]:
    prompts = st.sampled_from(["hello", "hello", "good day"])
    rows = st.lists(st.tuples(ways, prompts, owners), min_size=2, max_size=6)
    return rows.map(
        lambda rows: tuple(
            User(number=number, way=way, prompt=prompt, owner=owner) for number, (way, prompt, owner) in enumerate(rows)
        )
    )


def scenes(
    *,
    ways: tuple[str, ...] = (SERVER_FIRST, CLIENT_FIRST, ASKED),
    owners: tuple[str | None, ...],
    bind: bool = False,
    keeps_ids: st.SearchStrategy[bool] = BOTH,
) -> st.SearchStrategy[Scene]:
    def scene(drawn: tuple[tuple[User, ...], Wrap, Callable[[int], str], bool, bool]) -> Scene:
        people, wrap, shape, fresh, keeps = drawn
        terms = Terms(pace=Pace(factor=0), fresh_ids=fresh, seed=b"seed", bind_owners=bind)
        return Scene(users=people, wrap=wrap, shape=shape, terms=terms, keeps_ids=keeps)

    everyone = users(st.sampled_from(ways), st.sampled_from(owners))
    parts = (everyone, st.sampled_from(WRAPS), st.sampled_from(SHAPES), BOTH, keeps_ids)
    return st.tuples(*parts).map(scene)


def chooser(data: st.DataObject) -> Callable[[list[Client]], Client]:
    return lambda waiting: waiting[data.draw(st.integers(0, len(waiting) - 1), label="who acts")]


def assert_apart(clients: list[Client]) -> None:
    """No id and no word reached two clients, and no recording two."""
    for number, one in enumerate(clients):
        for other in clients[number + 1 :]:
            assert not one.ids & other.ids, f"{one.user.name} and {other.user.name} share {one.ids & other.ids}"
            assert not one.words & other.words
            assert not set(one.labels) & set(other.labels)


quick = settings(max_examples=80)


@pytest.mark.slow
@quick
@given(scene=scenes(owners=(None, None, "u-ada", "u-bob")), data=st.data())
def test_every_client_gets_its_own_users_recording_whatever_the_order(scene: Scene, data: st.DataObject) -> None:
    world = World(scene)
    for user in scene.users:
        world.client(user, user.owner or data.draw(st.sampled_from([None, "u-nobody"]), label="token"))
    world.play(chooser(data))
    everybody = list(world.clients.values())
    for client in everybody:
        assert client.refusal is None, f"{client.user.name}: {client.refusal}"
        assert len(client.words) == 1
        if client.user.way != ASKED:
            assert client.words == {client.user.word}
        else:
            (owner,) = {user.owner for user in scene.users if user.word in client.words}
            assert owner == client.user.owner
    assert_apart(everybody)
    assert not world.player.tally.unplayed
    for user in scene.users:
        late = world.client(user, user.owner)
        world.act(late)
        assert late.refusal is not None
        assert late.refusal.kind in ("used-up", "ids")
        assert not late.heard


@pytest.mark.slow
@quick
@given(scene=scenes(owners=(None, "u-ada", "u-bob", "u-cyd"), bind=True), data=st.data())
def test_bound_owners_stand_for_one_recorded_owner_each(scene: Scene, data: st.DataObject) -> None:
    world = World(scene)
    for user in scene.users:
        world.client(user, user.owner and user.owner.replace("u-", "live-"))
    world.play(chooser(data))
    everybody = list(world.clients.values())
    stands_for: dict[str, set[str]] = {}
    for client in everybody:
        for user in scene.users:
            if client.owner and user.owner and user.word in client.words:
                stands_for.setdefault(client.owner, set()).add(user.owner)
        assert client.user.way == ASKED or client.words <= {client.user.word}
    assert all(len(owners) == 1 for owners in stands_for.values())
    assert len({next(iter(owners)) for owners in stands_for.values()}) == len(stands_for)
    assert_apart(everybody)


@pytest.mark.slow
@quick
@given(scene=scenes(owners=(None, "u-ada", "u-bob"), keeps_ids=NEVER), data=st.data())
def test_of_two_clients_that_speak_for_one_user_at_most_one_is_served(scene: Scene, data: st.DataObject) -> None:
    world = World(scene)
    for user in scene.users * 2:
        world.client(user, user.owner)
    world.play(chooser(data))
    everybody = list(world.clients.values())
    assert_apart(everybody)
    assert sum(client.refusal is not None for client in everybody) >= len(scene.users)
    refused = {client.refusal.kind for client in everybody if client.refusal}
    assert refused <= {"used-up", "mismatch", "ids", "owner"}


@quick
@given(scene=scenes(owners=(None, "u-ada"), ways=(CLIENT_FIRST, ASKED)), data=st.data())
def test_a_stranger_hears_nothing_that_has_an_owner(scene: Scene, data: st.DataObject) -> None:
    world = World(scene)
    for user in scene.users:
        world.client(user, data.draw(st.sampled_from([None, "u-eve"]), label="token"))
    world.play(chooser(data))
    owned = {user.word for user in scene.users if user.owner}
    for client in world.clients.values():
        assert not client.words & owned
    assert_apart(list(world.clients.values()))


class Greeted:
    """Recordings in which the server says a name before the client has said it."""

    def __init__(self, count: int, *, owned: bool) -> None:
        def talk(number: int) -> list[Event]:
            name = NAMES[number]
            lines = ("4 < welcome", f"5 < good day {name}", f'6 > {{"text":"I am {name}"}}', f"7 < {WORDS[number]}")
            headers = bearer(name, 5) if owned else ()
            return chat(1 + number, *lines, owner=name if owned else None, headers=headers)

        tape = cassette(*map(talk, range(count)))
        self.player = Player([("tape", compile(tape, server_cast(tape), Rules()))], Terms(pace=Pace(factor=0)))
        self.lives = 0

    def connect(self, owner: str | None) -> tuple[list[str], list[Refusal]]:
        """What a new client is told, and how it is refused."""
        self.lives += 1
        head = RequestHead(
            at_us=0,
            stream=1,
            side=CLIENT,
            method=b"GET",
            target=b"/ws",
            version=b"HTTP/1.1",
            headers=UPGRADE + (bearer(owner, self.lives) if owner else ()),
        )
        request = Request(protocol=Protocol.WEBSOCKET, role=None, head=head, owner=owner_of(head))
        outcome = self.player.open(0, self.lives, request)
        actions = self.player.tick(0)
        said = [action.event for action in actions if isinstance(action, Send)]
        refused = [action.refusal for action in actions if isinstance(action, Refuse)]
        refused += [outcome] if isinstance(outcome, Refusal) else []
        return [item.data.decode() for item in said if isinstance(item, Message)], refused


@given(count=st.integers(2, 6))
def test_recordings_that_part_before_the_client_said_which_are_ambiguous_and_a_field_is_named(count: int) -> None:
    greeted = Greeted(count, owned=False)
    for _ in range(count):
        said, (refusal,) = greeted.connect(None)
        assert said == ["welcome"]
        assert (refusal.kind, refusal.close_code) == ("ambiguous", 4404)
        assert refusal.differences[0].place == "message.text"


@given(order=st.lists(st.sampled_from(NAMES), min_size=2, max_size=6, unique=True))
def test_a_token_says_which_before_the_client_does(order: list[str]) -> None:
    greeted = Greeted(len(NAMES), owned=True)
    for name in order:
        assert greeted.connect(name) == (["welcome", f"good day {name}"], [])
        again, (refusal,) = greeted.connect(name)
        assert not again
        assert refusal.kind == "used-up"
