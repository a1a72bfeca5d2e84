"""A play state on the event loop: the player, its clock and one timer for everything that is due."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from gp_replay.core.acts import Action, Open
from gp_replay.core.matching import Refusal
from gp_replay.core.player import Player
from gp_replay.core.script import Script
from gp_replay.core.terms import Terms
from gp_replay.net.clock import Clock, utc_seconds
from gp_replay.report.plain_text import printable

__all__ = ["Actor", "Stage"]


class Actor(Protocol):
    """A live stream's connection."""

    def carry_out(self, action: Action) -> None:
        """Turns an action into bytes."""

    def flush(self) -> None:
        """Sends those bytes at once."""

    def drop(self) -> None:
        """Breaks the connection off."""


class Stage:
    """See the module.

    Args:
        scripts: names and scripts, in recorded order.
        terms: how they are played.
        log: gets a text for each refusal and problem; default prints it to stderr.

    Attributes:
        player, clock: of this play state.
        roles: that are served.
        log: as given.
        opener: makes the connection for a stream that we open, where we play a client's part.
    """

    def __init__(
        self,
        scripts: Sequence[tuple[str, Script]],
        *,
        terms: Terms | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        terms = terms or Terms()
        self.player = Player(scripts, replace(terms, started_us=utc_seconds() * 1_000_000))
        self.clock = Clock()
        self.roles = {role for _, script in scripts for role in script.cast}
        self.log = log or (lambda text: print(text, file=sys.stderr))
        self.opener: Callable[[Open], Actor] | None = None
        self._live: dict[int, Actor] = {}
        self._numbers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us = 0
        self._closed = False

    def close(self) -> None:
        """Nothing is due any more, also once the last connections say that they are gone."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def drop_all(self) -> None:
        """Breaks off every connection that has a live stream here; their clients count as gone."""
        for live, actor in list(self._live.items()):
            self.detach(live)
            actor.drop()

    def attach(self, actor: Actor) -> int:
        """A number for a new live stream of this connection."""
        self._numbers += 1
        self._live[self._numbers] = actor
        return self._numbers

    def detach(self, live: int) -> None:
        """The live stream is over for its connection."""
        if self._live.pop(live, None) is not None:
            self.player.leave(self.clock.now_us(), live)

    def say(self, refusal: Refusal) -> None:
        """Logs a refusal: what, nearest, differences, rule, hint."""
        lines = [f"miss: {refusal.reason}"]
        if refusal.nearest:
            lines.append(f"  nearest: {refusal.nearest}")
        lines += [f"  {item.place}: recorded {item.recorded!r}, live {item.live!r}" for item in refusal.differences]
        lines += [f"  rule: {line}" for line in refusal.rule.splitlines()]
        if refusal.hint:
            lines.append(f"  hint: {refusal.hint}")
        # Paths and values come from clients and cassettes: they must not drive the terminal.
        self.log("\n".join(map(printable, lines)))

    def act(self, actions: Sequence[Action]) -> None:
        """Carries out the player's actions, then those that are due by now, and sets the timer for the next."""
        while actions:
            touched: dict[Actor, None] = {}
            for action in actions:
                if isinstance(action, Open) and self.opener is not None:
                    self._live[action.live] = self.opener(action)
                actor = self._live.get(action.live)
                if actor is not None:
                    touched[actor] = None
                    self._carry_out(actor, action)
            for actor in touched:
                actor.flush()
            actions = self.player.tick(self.clock.now_us())
        self._arm()

    def _carry_out(self, actor: Actor, action: Action) -> None:
        try:
            actor.carry_out(action)
        except Exception as error:  # what one recording holds must not stop what others get
            self.log(printable(f"a connection was dropped, its recording cannot be rendered: {error!r}"))
            actor.drop()

    def start(self) -> None:
        """Our clients, if there are any, begin."""
        self.player.start(self.clock.now_us())
        self.poll()

    def poll(self) -> None:
        """Does what is due."""
        self.act(self.player.tick(self.clock.now_us()))

    def _arm(self) -> None:
        due_us = None if self._closed else self.player.next_due()
        if self._timer is not None:
            if due_us == self._timer_us and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if due_us is not None:
            self._timer_us = due_us
            delay = max(0, due_us - self.clock.now_us()) / 1_000_000
            self._timer = asyncio.get_running_loop().call_later(delay, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self.poll()
