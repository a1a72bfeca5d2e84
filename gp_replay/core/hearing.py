"""What the live side says, and which recorded thing it stands for.

A live client must say what the recorded one said: anything else is refused. A live server may differ, since that is
what is being found out; its messages stand for recorded ones of their kind, so that ids can be learned from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gp_replay.core import explain
from gp_replay.core.answers import Units, answer_pairs, secret_pairs, texts_of, units_of
from gp_replay.core.bindings import Bindings
from gp_replay.core.canonical import Form, message_form, paired_ids
from gp_replay.core.copies import Copies
from gp_replay.core.landmarks import kind_of
from gp_replay.core.matching import Refusal, differences
from gp_replay.core.model import End, Event, Message, Opcode, Piece, ResponseHead, Side
from gp_replay.core.playing import Candidate, Playing
from gp_replay.core.script import Step, identity
from gp_replay.core.shapes import ids_in

__all__ = ["Hearing"]

_COMPARED = 20
"""Candidates, and differences of each, that are looked at to say which is nearest."""


class Hearing:
    """See the module.

    Args:
        bindings: of the play state.
        copies: of the play state.
    """

    def __init__(self, bindings: Bindings, copies: Copies) -> None:
        self._bindings = bindings
        self._copies = copies

    def from_client(self, playing: Playing, event: Event, now_us: int) -> Refusal | None:
        """Marks what was heard with every candidate it agrees with, and drops the others."""
        if isinstance(event, Message) and event.opcode is Opcode.TEXT and not _is_utf8(event.data):
            return Refusal(kind="malformed", reason="a text message is not UTF-8", close_code=4400)
        agreeing: list[Candidate] = []
        forms: dict[bytes, tuple[bytes, Form | None]] = {}
        for item in playing.candidates:
            heard = event
            if isinstance(event, Message):
                heard = replace(event, data=item.bindings.hear(event.data), fragments=())
            data = heard.data if isinstance(heard, Message) else b""
            if data not in forms:
                forms[data] = identity(heard, item.recorded.entry, playing.path, item.recorded.script.rules)
            if self._agrees(item, playing.path, *forms[data], now_us):
                agreeing.append(item)
        if not agreeing:
            return self._refusal(playing, next(iter(forms.values()))[1])
        playing.candidates = agreeing
        return None

    def _agrees(self, item: Candidate, path: str, digest: bytes, form: Form | None, now_us: int) -> bool:
        said = form.correlated if form is not None else None
        # A number the live side made is another one than it was recorded; one of ours comes back as we said it.
        known = item.recorded_number(said.number) if said is not None else None
        number = known or (said.number if said is not None and said.reply else "")
        for at in item.unheard(digest=digest, number=number):
            if form is not None and form.ids:
                pairs = paired_ids(self._form(item, at, path), form)
                if not item.bindings.agrees(pairs):
                    continue
                item.bindings.learn(pairs)
            if said is not None and not said.reply and known is None:
                item.number(item.script.cues[at].number, said.number)
            item.mark(at, now_us)
            return True
        return False

    def _form(self, item: Candidate, at: int, path: str) -> Form:
        event = item.script.cues[at].event
        assert isinstance(event, Message)
        return message_form(event, role=item.recorded.entry.role, path=path, rules=item.recorded.script.rules)

    def _refusal(self, playing: Playing, form: Form | None) -> Refusal:
        lead = playing.lead
        awaited = _awaited(lead)
        if not awaited or form is None:
            return explain.beyond(lead.recorded.label)
        left = [(item, at) for item in playing.candidates[:_COMPARED] for at in _awaited(item)[:1]]
        nearest = min(
            (self._form(item, at, playing.path) for item, at in left),
            key=lambda recorded: len(differences(recorded, form, most=_COMPARED)),
        )
        return explain.mismatch(
            nearest, form, label=lead.recorded.label, role=lead.recorded.entry.role, path=playing.path
        )

    def keep_constants(self, lead: Candidate, step: Step, others: Sequence[Step]) -> None:
        """Ids that every recording left says at this step are nobody's own: they are said as they are."""
        if not isinstance(step.event, Message) or not others:
            return
        events = [other.event for other in others]
        for found in ids_in(step.event.data):
            if all(isinstance(event, Message) and found in event.data for event in events):
                lead.bindings.keep(found)

    def say_the_same(self, playing: Playing, steps: Sequence[Step]) -> bool:
        """Whether steps that differ as recorded are the same in this client's name."""
        if not all(item.bindings.named for item in playing.candidates):
            return False
        said: set[bytes] = set()
        for item, step in zip(playing.candidates, steps, strict=True):
            if not isinstance(step.event, Message):
                return False
            event = replace(step.event, data=item.bindings.say(step.event.data), fragments=())
            said.add(identity(event, item.recorded.entry, playing.path, item.recorded.script.rules)[0])
        return len(said) == 1

    def told(self, item: Candidate, step: Step, said: Event) -> None:
        """An undecided client was told ``said``; should ``item`` be its own, that stood for ``step``."""
        if not isinstance(step.event, Message) or not isinstance(said, Message):
            return
        rules, entry = item.recorded.script.rules, item.recorded.entry
        recorded, live = (message_form(event, role=entry.role, path="", rules=rules) for event in (step.event, said))
        for own, told in paired_ids(recorded, live):
            item.bindings.bind(own, told)

    # A live server

    def from_server(self, playing: Playing, event: Event, now_us: int) -> None:
        """Marks what a live server's event stands for, and learns its ids. What stands for nothing is let pass."""
        item = playing.lead
        match event:
            case Message():
                playing.heard.append(event.data)
                at = item.of_kind(kind_of(event))
                if at is not None:
                    self._learn(item, at, event, playing.path)
                    item.mark(at, now_us)
            case Piece():
                playing.heard.append(event.data)
            case ResponseHead() | End():
                if isinstance(event, End):
                    live = units_of(b"".join(playing.heard))
                    self._learn_units(units_of(_recorded_answer(item)), live)
                for at, cue in enumerate(item.script.cues):
                    if item.heard_us[at] < 0 and isinstance(cue.event, type(event)):
                        item.mark(at, now_us)
                        break
            case _:
                pass

    def _learn(self, item: Candidate, at: int, event: Message, path: str) -> None:
        rules, role = item.recorded.script.rules, item.recorded.entry.role
        live = message_form(event, role=role, path=path, rules=rules)
        said = live.correlated
        if said is not None and not said.reply:
            item.number(item.script.cues[at].number, said.number)
        if live.ids:
            self._bindings.learn(paired_ids(self._form(item, at, path), live))

    def _learn_units(self, recorded: Units, live: Units) -> None:
        self._bindings.learn(answer_pairs(recorded, live))
        for old, new in secret_pairs(recorded, live):
            self._bindings.name(old, new)
        self._copies.heard(texts_of(recorded), texts_of(live))

    def turn_over(self, playing: Playing, step: Step, before: Step | None) -> None:
        """Our client speaks again: what it may copy is what the server said since it last spoke."""
        cues = playing.lead.script.cues[before.cues if before is not None else 0 : step.cues]
        recorded = [("", cue.event.data) for cue in cues if isinstance(cue.event, Message)]
        self._copies.heard(texts_of(recorded), texts_of([("", data) for data in playing.heard]))
        playing.heard.clear()


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _awaited(item: Candidate) -> list[int]:
    """The messages that were not heard yet."""
    cues = item.script.cues
    return [at for at, heard_us in enumerate(item.heard_us) if heard_us < 0 and isinstance(cues[at].event, Message)]


def _recorded_answer(item: Candidate) -> bytes:
    """The body of the recorded answer."""
    events: Sequence[Event] = item.recorded.script.cassette.events(item.recorded.entry.stream)
    return b"".join(event.data for event in events if isinstance(event, Piece) and event.side is Side.SERVER)
