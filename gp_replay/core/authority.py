"""Our own address: on replay, URLs that named the recorded upstream name us."""

from __future__ import annotations

import re

from gp_replay.core.model import RequestHead, header_value

__all__ = ["OwnAddress"]

_SECURE = {b"https": b"http", b"wss": b"ws"}


class OwnAddress:
    """Rewrites absolute URLs of one recorded upstream.

    Args:
        recorded: the request as it was recorded; its ``Host`` is what the upstream called itself by.
        upstream: URL of the role, as recorded; "" or a name when there was none.
        live: what the live client put before the role's paths: ``127.0.0.1:8080/llm``, without a scheme.
    """

    def __init__(self, recorded: RequestHead, upstream: str, live: str) -> None:
        authority, _, path = upstream.partition("://")[2].partition("/")
        host = (header_value(recorded.headers, b"host") or b"").decode("latin-1")
        base = f"/{path}".rstrip("/") if path else ""
        names = [re.escape(name).encode() for name in dict.fromkeys((authority, host)) if name]
        self._live = live.encode("latin-1", "replace")
        self._pattern: re.Pattern[bytes] | None = None
        if names and live and live not in (authority + base, host + base):
            slashes = rb"(?P<scheme>https?|wss?):(?P<slashes>(?:\\*/){2})(?:" + b"|".join(names) + rb")(?![\w.:-])"
            self._pattern = re.compile(slashes + (b"(?:%s)?" % re.escape(base.encode())), re.IGNORECASE)

    def rewrite(self, raw: bytes) -> bytes:
        """``raw`` with such URLs, in a header or in JSON with or without escaped slashes, naming us."""
        if self._pattern is None or b":" not in raw:
            return raw
        return self._pattern.sub(self._named, raw)

    def _named(self, found: re.Match[bytes]) -> bytes:
        scheme = found["scheme"].lower()
        escape = found["slashes"][:-1].split(b"/")[0]
        return _SECURE.get(scheme, scheme) + b":" + found["slashes"] + self._live.replace(b"/", escape + b"/")
