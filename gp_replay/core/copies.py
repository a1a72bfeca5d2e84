"""Strings that a recorded client copied from its server: said again to a live server, they are the live ones.

An answer of a model comes back in the history of the next request. Where the live answer had another text, the client
must send that one: so whole strings, never parts of them, and none that the client had said before by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from gp_replay.core.json_strings import json_strings
from gp_replay.core.rewriter import Edit, apply_edits

__all__ = ["Copies"]

Texts = Mapping[tuple[object, ...], str]


class Copies:
    """The texts of one play state: what was recorded, and what was said live in its place."""

    def __init__(self) -> None:
        self._live: dict[str, str | None] = {}  # None: it stood for several things
        self._own: set[str] = set()

    def heard(self, recorded: Texts, live: Texts) -> None:
        """A server said ``live`` where it was recorded saying ``recorded``."""
        for place, text in recorded.items():
            said = live.get(place)
            if said is None or not text or text in self._own:
                continue
            known = self._live.setdefault(text, said)
            if known != said:
                self._live[text] = None

    def say(self, raw: bytes) -> bytes:
        """What our client says, with what it copied replaced; strings it says by itself are its own from now on."""
        if raw[:1] not in (b"{", b"["):
            return raw
        edits: list[Edit] = []
        for string in json_strings(raw):
            content = raw[string.start : string.end]
            text = _plain(content)
            said = self._live.get(text)
            if said is not None and said != text:
                edits.append(Edit(string.start, string.end, orjson.dumps(said)[1:-1]))
            elif text not in self._live:
                self._own.add(text)
        return apply_edits([raw], edits)[0] if edits else raw

    def say_parts(self, parts: Sequence[bytes]) -> list[bytes]:
        """A body in parts, as many as there were; what changed goes into the last of them."""
        whole = b"".join(parts)
        said = self.say(whole)
        if said == whole:
            return list(parts)
        return [*([b""] * (len(parts) - 1)), said]


def _plain(content: bytes) -> str:
    try:
        return str(orjson.loads(b'"' + content + b'"'))
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace")
