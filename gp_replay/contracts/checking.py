"""The engine: one thing that was said in, findings out, in time that does not grow with what was said before.

Which connections are judged: those on which an event that the contract is about was said, and those on which nothing
but its events was said, or nothing at all (a handshake that broke off). Findings of others are dropped; until it is
known they are held.
"""

from __future__ import annotations

from collections.abc import Iterable

from gp_replay.contracts.contract import Contract
from gp_replay.contracts.envelopes import Envelopes
from gp_replay.contracts.findings import Finding, Level, Notes
from gp_replay.contracts.grammar import Broken, Grammar, Scope
from gp_replay.contracts.handshake import HandshakeCheck
from gp_replay.contracts.isolation import IsolationCheck, Owner
from gp_replay.contracts.limits import OPENED, Limits
from gp_replay.contracts.recognising import Heard, Recogniser, text_of
from gp_replay.contracts.runs import RunBook, break_rule
from gp_replay.contracts.said import Said, What
from gp_replay.core.model import How, Side

__all__ = ["CONNECTION", "Checker"]

CONNECTION = "connection"
"""The scope of rules about a whole connection."""

_MAX_SCOPES = 10_000


class Checker:
    """Checks all conversations of a cassette, a replay or a listener against a contract.

    Args:
        contract: the rules.
        source: what findings call the cassette or stream.
        timed: False where offsets say nothing of the service, as in a replay.

    Attributes:
        connections: how many have been judged.
        messages: how many of theirs.
        skipped: connections that are none of this contract's.
    """

    def __init__(self, contract: Contract, *, source: str = "", timed: bool = True) -> None:
        self._rules = _Compiled(contract)
        self._source = source
        self._timed = timed
        self._isolation = None if contract.isolation is None else IsolationCheck(contract.isolation)
        self._open: dict[int, _Conversation] = {}
        self.connections = 0
        self.messages = 0
        self.skipped = 0

    def feed(self, said: Said) -> list[Finding]:
        """Takes the next thing that was said; what it breaks. Of connections that never opened nothing is taken."""
        conversation = self._open.get(said.connection)
        if conversation is None:
            if said.what is not What.OPENED:
                return []
            conversation = _Conversation(self._rules, Notes(self._source), self._isolation, timed=self._timed)
            self._open[said.connection] = conversation
        conversation.hear(said)
        if conversation.is_over:
            return self._over(said.connection)
        return conversation.notes.take() if conversation.is_ours else []

    def finish(self) -> list[Finding]:
        """Everything was said; what is missing."""
        return [finding for connection in list(self._open) for finding in self._over(connection)]

    def _over(self, connection: int) -> list[Finding]:
        conversation = self._open.pop(connection)
        conversation.end()
        if not conversation.is_ours and (conversation.is_strange or not conversation.is_accepted):
            self.skipped += 1
            return conversation.notes.take() if conversation.is_refused else []
        self.connections += 1
        self.messages += conversation.messages
        return conversation.notes.take()


class _Compiled:
    """A contract, arranged for checking."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.recogniser = Recogniser(contract)
        sides = {event.name: event.side for event in contract.events}
        run = contract.runs.key.name if contract.runs else None
        by_scope = {rule.per: [other for other in contract.rules if other.per == rule.per] for rule in contract.rules}
        grammars = {per: Grammar(tuple(rules), sides) for per, rules in by_scope.items()}
        nothing = Grammar((), sides)
        self.connection = grammars.pop(CONNECTION, nothing)
        self.run = grammars.pop(run, nothing) if run is not None else nothing
        self.by_field = tuple((contract.fields[per], grammar) for per, grammar in grammars.items())
        self.asks = contract.runs.asks if contract.runs else frozenset()
        self.fails = contract.runs.fails if contract.runs else frozenset()
        self.welcome = contract.handshake.welcome if contract.handshake else ""
        self.ours = _about(contract)


def _about(contract: Contract) -> frozenset[str]:
    """The events a conversation is recognised by. Heartbeats and errors have names that many protocols use."""
    subjects = {event.name for event in contract.events if event.in_run} | {rule.event for rule in contract.rules}
    subjects |= {name for pairing in contract.pairings for name in (pairing.opens, pairing.closes)}
    if contract.handshake is not None:
        subjects.add(contract.handshake.welcome)
    if not subjects:
        subjects = {event.name for event in contract.events if event.side is Side.SERVER}
    return frozenset(subjects - {event.name for event in contract.events if event.is_error or event.ambient})


class _Conversation:
    """One connection."""

    def __init__(
        self,
        rules: _Compiled,
        notes: Notes,
        isolation: IsolationCheck | None,
        *,
        timed: bool,
    ) -> None:
        contract = rules.contract
        self._rules = rules
        self._envelopes = Envelopes(contract)
        self._isolation = isolation
        self._limits = Limits(contract, timed=timed)
        self._scope = Scope(rules.connection)
        self._scopes: dict[tuple[str, str], Scope] = {}
        self._handshake = None if contract.handshake is None else HandshakeCheck(contract.handshake, asks=rules.asks)
        self._runs = None if contract.runs is None else RunBook(contract, contract.runs, rules.run, self._limits)
        self._owner: Owner | None = None
        self._last: Said | None = None
        self._closed: set[Side] = set()
        self._left = False
        self.notes = notes
        self.messages = 0
        self.is_ours = False
        self.is_strange = False
        self.is_accepted = False
        self.is_refused = False
        self.is_over = False

    def hear(self, said: Said) -> None:
        """Takes the next thing that was said on it."""
        self._last = said
        match said.what:
            case What.MESSAGE:
                self._hear_message(said)
            case What.OPENED:
                self._limits.hear(OPENED, said, self.notes)
                if said.owner is not None and self._isolation is not None:
                    self._owner = self._isolation.owner(said.owner)
                if self._handshake is not None:
                    self._handshake.opened(said)
            case What.ACCEPTED:
                self.is_accepted = True
                if self._handshake is not None:
                    self._handshake.accepted(said, self.notes)
            case What.REFUSED:
                self._hear_refusal(said)
            case What.CLOSED | What.GONE:
                self._hear_end(said)

    def end(self) -> None:
        """Nothing more comes."""
        said = self._last
        if said is None or not self.is_accepted:
            return
        if self._runs is not None:
            self._runs.end(said, self.notes, left=self._left)
        lost_race = self._handshake is not None and self._handshake.lost_race
        for broken in self._scope.end():
            if not (lost_race and broken.rule.event == self._rules.welcome):
                break_rule(broken, said, self.notes, what="the connection")
        for (field, value), scope in self._scopes.items():
            if not scope.astray:
                self._break(scope.end(), said, what=f"{field} {value}")
        if self._handshake is not None:
            self._handshake.end(self.notes)

    def _hear_message(self, said: Said) -> None:
        heard = self._rules.recogniser.recognise(said)
        self.messages += 1
        event = heard.event
        if event is None:
            self.is_strange = True
            self._hear_unknown(heard)
        elif event.name in self._rules.ours:
            self.is_ours = True
        before = len(self.notes)
        if self._handshake is not None:
            self._handshake.hear(heard, self.notes)
        # What the handshake's checks have said need not be said again by the grammar of the welcome.
        told = len(self.notes) > before
        for broken in self._scope.hear(heard.name, said.side):
            if not (told and broken.rule.event == self._rules.welcome):
                break_rule(broken, said, self.notes, what="the connection")
        if event is not None:
            self._envelopes.hear(heard, self.notes)
            self._hear_fields(heard)
            self._limits.hear(event.name, said, self.notes)
        self._hear_owner(heard)
        if self._runs is not None and event is not None:
            if event.in_run or event.name in self._rules.fails:
                self._runs.hear(heard, self.notes)
            elif event.name in self._rules.asks:
                self._runs.ask(said)

    def _hear_unknown(self, heard: Heard) -> None:
        said = heard.said
        if said.side is Side.CLIENT:
            return
        if said.message is None:
            self.notes.find(
                said,
                "message.object",
                expected="a JSON object",
                came=f"{said.kind} of {len(said.raw)} bytes",
                fix="send one JSON object per message",
            )
        elif self._rules.recogniser.was_overwritten(heard):
            known = ", ".join(sorted(event.name for event in self._rules.contract.events if event.in_run))
            self.notes.find(
                said,
                "type.overwritten",
                place=self._rules.contract.type_names[0],
                expected=f"a type the contract knows ({known}) on a message that carries an event's fields",
                came="no type" if heard.kind is None else text_of(heard.kind),
                fix="write the type after the payload was spread, or name this type in the contract",
            )

    def _hear_fields(self, heard: Heard) -> None:
        for field, grammar in self._rules.by_field:
            value = heard.text(field)
            if value is None:
                continue
            scope = self._scopes.get((field.name, value))
            if scope is None:
                if len(self._scopes) >= _MAX_SCOPES:
                    oldest = next(iter(self._scopes))
                    self._break(self._scopes.pop(oldest).end(), heard.said, what=f"{oldest[0]} {oldest[1]}")
                scope = self._scopes[field.name, value] = Scope(grammar)
            self._break(scope.hear(heard.name, heard.said.side), heard.said, what=f"{field.name} {value}")

    def _hear_owner(self, heard: Heard) -> None:
        isolation, event = self._isolation, heard.event
        if isolation is None or heard.said.message is None:
            return
        if event is not None and event.name == self._rules.welcome:
            self._owner = isolation.welcome(heard, self._owner, self.notes)
        elif self._owner is None:
            return
        elif heard.said.side is Side.CLIENT:
            isolation.client(heard, self._owner)
        elif event is None or not (event.ambient or event.is_error):
            runs = self._rules.contract.runs
            asked = runs is not None and heard.name == runs.opens and self._runs is not None and self._runs.is_asked
            isolation.server(heard, self._owner, self.notes, asked=asked)

    def _hear_refusal(self, said: Said) -> None:
        self.is_refused = self.is_over = True
        self.notes.find(
            said,
            "handshake.refused",
            level=Level.WARNING,
            expected="101 Switching Protocols",
            came=f"HTTP {said.status}",
            fix="a close before accept reaches clients as 403: see the server's log for why",
        )

    def _hear_end(self, said: Said) -> None:
        if self._handshake is not None:
            self._handshake.closed(said, self.notes)
        if said.what is What.CLOSED:
            self._closed.add(said.side)
            self.is_over = len(self._closed) == 2
            return
        self._left = not self._closed and (said.side is Side.CLIENT or said.how in (How.CUT, How.UNREACHABLE))
        self.is_over = True

    def _break(self, all_broken: Iterable[Broken], said: Said, *, what: str) -> None:
        for broken in all_broken:
            break_rule(broken, said, self.notes, what=what)
