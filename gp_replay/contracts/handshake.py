"""The handshake race: checks HS-1 to HS-9.

The right order on the wire: upgrade request, 101 with an offered subprotocol or none, perhaps a probe, the welcome, the
first client message, events.

| HS-1 | accepted, then closed by the server with 1011 or 1006 (or gone without a close) before any welcome | error |
| HS-2 | a client message before the welcome | error |
| HS-3 | an event, a heartbeat or an error before the welcome, probes excepted | error |
| HS-4 | a client message before the welcome that nothing answers: lost | warning |
| HS-5 | more than one connection id on one socket | error |
| HS-6 | closed by the server, not with 1000, after a completed exchange and without an error message | warning |
| HS-7 | a subprotocol that was not offered, or a token sent back | error |
| HS-8 | more than one welcome, or one without what it must carry | error |
| HS-9 | an error text that gives the race away | error |
"""

from __future__ import annotations

from gp_replay.contracts.contract import Handshake
from gp_replay.contracts.envelopes import missing_field
from gp_replay.contracts.findings import Level, Notes
from gp_replay.contracts.recognising import Heard, text_of
from gp_replay.contracts.said import Said
from gp_replay.core.identity import subprotocol_token
from gp_replay.core.model import How, Side

__all__ = ["HandshakeCheck"]

_MAX_EARLY = 64


class HandshakeCheck:
    """The checks of one connection.

    Args:
        rules: names of what a handshake consists of.
        asks: client events that are answered by events of a run.

    Attributes:
        welcomed: the welcome came.
        lost_race: HS-1 was found.
    """

    def __init__(self, rules: Handshake, asks: frozenset[str]) -> None:
        self._rules = rules
        self._asks = asks
        self._offered: tuple[str, ...] = ()
        self._accepted: Said | None = None
        self._connection: str | None = None
        self._told: set[str] = set()
        self._early: list[Heard] = []
        self._said_to_server = False
        self._exchanges = 0
        self._errors = 0
        self._client_closed = False
        self._server_closed = False
        self.welcomed = False
        self.lost_race = False

    def opened(self, said: Said) -> None:
        """The client asked for the upgrade."""
        self._offered = said.offered

    def accepted(self, said: Said, notes: Notes) -> None:
        """The server answered 101."""
        self._accepted = said
        chosen = said.selected
        if chosen is None:
            return
        # A token is never shown, not even its pseudonym.
        offers = ", ".join(_shown(item) for item in self._offered) or "no subprotocol"
        if subprotocol_token(chosen.encode("latin-1", "replace")) is not None:
            notes.find(
                said,
                "HS-7",
                place="Sec-WebSocket-Protocol",
                expected="the scheme without the token",
                came=_shown(chosen),
                fix="select the exact item, like jwt-auth, never the one that carries the token",
            )
        elif chosen not in self._offered:
            notes.find(
                said,
                "HS-7",
                place="Sec-WebSocket-Protocol",
                expected=f"one of what was offered ({offers}), or none",
                came=text_of(chosen),
                fix=f"offer {chosen} beside the token item, or select nothing (RFC 6455, section 4.1)",
            )

    def hear(self, heard: Heard, notes: Notes) -> None:
        """A message, of either side."""
        if heard.said.side is Side.CLIENT:
            self._hear_client(heard, notes)
            return
        name = heard.name
        event = heard.event
        if name == self._rules.welcome:
            self._hear_welcome(heard, notes)
        elif not self.welcomed and name not in self._rules.probes:
            self._too_early(heard, notes)
        elif self._said_to_server and event is not None and not event.ambient:
            self._exchanges += 1
        if event is not None and event.is_error:
            self._errors += 1
            self._read_error(heard.said, heard.said.raw.decode("utf-8", "replace").replace('\\"', '"'), notes)
        self._note_connection(heard, notes)
        if self._early and name != self._rules.welcome and name not in self._rules.probes:
            self._early = [early for early in self._early if not self._answers(heard, early)]

    def closed(self, said: Said, notes: Notes) -> None:
        """A side closed, or is gone."""
        if said.side is Side.CLIENT:
            self._client_closed = True
            return
        if self._client_closed or self._server_closed or said.how in (How.CUT, How.UNREACHABLE):
            return
        self._server_closed = True
        self._read_error(said, said.reason, notes)
        if self._accepted is not None and not self.welcomed and (said.code in (1006, 1011) or said.how is not None):
            self.lost_race = True
            after_ms = (said.at_us - self._accepted.at_us) / 1000
            notes.find(
                said,
                "HS-1",
                expected=f"{self._rules.welcome} after 101",
                came=f"{_end_of(said)} {after_ms:.1f} ms after 101, without it",
                fix="accept only when the service is ready, and check again right before the first receive",
            )
        elif self.welcomed and self._exchanges and not self._errors and said.code != 1000:
            notes.find(
                said,
                "HS-6",
                level=Level.WARNING,
                expected="an error message before the server closes, or close 1000",
                came=f"{_end_of(said)} after {self._exchanges} answers, without an error message",
                fix="look for a connection state that changed between its check and the receive",
            )

    def end(self, notes: Notes) -> None:
        """The connection is over."""
        for early in self._early:
            notes.find(
                early.said,
                "HS-4",
                level=Level.WARNING,
                expected="an answer",
                came=f"{early.name or early.kind or 'a message'} before the welcome, and nothing that answers it",
                fix=f"send it after {self._rules.welcome}: the server lost it",
            )
        self._early = []

    def _hear_client(self, heard: Heard, notes: Notes) -> None:
        if self.welcomed:
            self._said_to_server = True
            return
        if self._is_first("HS-2"):
            notes.find(
                heard.said,
                "HS-2",
                expected=f"{self._rules.welcome} before the first client message",
                came=heard.name or heard.kind or heard.said.kind,
                fix=f"let the client wait for {self._rules.welcome}",
            )
        if len(self._early) < _MAX_EARLY:
            self._early.append(heard)

    def _hear_welcome(self, heard: Heard, notes: Notes) -> None:
        if self.welcomed:
            notes.find(
                heard.said,
                "HS-8",
                expected=f"one {self._rules.welcome}",
                came="another one",
                fix="send it in one place only, after the last step of the handshake",
            )
        self.welcomed = True
        for wanted in self._rules.wanted:
            if heard.find(wanted.field) is None and wanted.level is not None:
                missing_field(heard, wanted, notes, rule="HS-8", level=wanted.level)

    def _too_early(self, heard: Heard, notes: Notes) -> None:
        if self._is_first("HS-3"):
            notes.find(
                heard.said,
                "HS-3",
                expected=f"{self._rules.welcome} first",
                came=heard.name or heard.kind or heard.said.kind,
                fix=f"send {self._rules.welcome} before the connection is handed to whoever sends events",
            )

    def _is_first(self, rule: str) -> bool:
        """Whether this is the first finding of its rule: what goes on and on is said once."""
        if rule in self._told:
            return False
        self._told.add(rule)
        return True

    def _read_error(self, said: Said, text: str, notes: Notes) -> None:
        lower = text.lower()
        phrase = next((phrase for phrase in self._rules.phrases if phrase in lower), None)
        if phrase is not None:
            notes.find(
                said,
                "HS-9",
                expected="no error of the transport",
                came=f"an error that says {phrase!r}",
                fix="check that the connection is accepted and ready as the last step before each receive and send",
            )

    def _note_connection(self, heard: Heard, notes: Notes) -> None:
        value = heard.text(self._rules.connection)
        if value is None:
            return
        if self._connection is None:
            self._connection = value
        elif value != self._connection and self._is_first("HS-5"):
            notes.find(
                heard.said,
                "HS-5",
                place=".".join(self._rules.connection.paths[0]),
                expected=f"{text_of(self._connection)}, as before",
                came=text_of(value),
                fix="make the id once, before accept, and keep one state machine for it",
            )

    def _answers(self, heard: Heard, early: Heard) -> bool:
        """Whether a server's message may be the answer to an early client message."""
        event, asked = heard.event, early.event
        if event is None:
            return False
        if asked is not None and asked.ambient:
            return event.ambient
        if early.name in self._asks:
            return event.in_run or event.is_error
        return not event.ambient


def _shown(item: str) -> str:
    split = subprotocol_token(item.encode("latin-1", "replace"))
    return item if split is None else f"{split[0].decode('latin-1')}<token>"


def _end_of(said: Said) -> str:
    if said.how is not None:
        return f"gone ({said.how.value}) without a close frame"
    return f"close {'without a code' if said.code is None else said.code}" + (
        f" {text_of(said.reason)}" if said.reason else ""
    )
