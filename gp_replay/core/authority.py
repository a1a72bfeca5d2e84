"""Our own address: on replay, URLs that named the recorded upstream name us, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

__all__ = ["OwnAddress"]

_PLAIN = {b"https": b"http", b"wss": b"ws"}
_SECURE = {plain: secure for secure, plain in _PLAIN.items()}
_END = rb"(?![\w.:%-])"


class OwnAddress:
    """Rewrites absolute URLs of one upstream.

    Args:
        upstream: URL of the role, as recorded; a text without ``://`` names no host.
        live: what the live client put before the role's paths: ``127.0.0.1:8080/llm``, without a scheme; "" when that
            is not known.
        host: what the recorded client called the upstream, in ``Host``; "" for none.
    """

    def __init__(self, *, upstream: str, live: str, host: str = "") -> None:
        scheme, _, rest = upstream.partition("://")
        authority, _, path = rest.partition("/")
        base = f"/{path}".rstrip("/") if path else ""
        names = tuple(dict.fromkeys(name for name in (authority, host) if name))
        self._is_secure = scheme in ("https", "wss")
        self._recorded = (authority + base).encode("latin-1", "replace")
        self._live = live.encode("latin-1", "replace")
        self._out: re.Pattern[bytes] | None = None
        if authority and live and live not in (authority + base, host + base):
            self._out = _urls(names, base)
            self._back = _urls((live.partition("/")[0],), live[len(live.partition("/")[0]) :])

    def rewrite(self, raw: bytes) -> bytes:
        """``raw`` with the upstream's URLs, in a header or in JSON with or without escaped slashes, naming us."""
        if self._out is None or b":" not in raw:
            return raw
        return self._out.sub(lambda found: _url(found, _PLAIN, self._live), raw)

    def restore(self, raw: bytes) -> bytes:
        """``raw`` with URLs that name us naming the upstream, as it was recorded."""
        if self._out is None or self._live.partition(b"/")[0] not in raw:
            return raw
        schemes = _SECURE if self._is_secure else {}
        return self._back.sub(lambda found: _url(found, schemes, self._recorded), raw)


@lru_cache(maxsize=256)
def _urls(names: tuple[str, ...], base: str) -> re.Pattern[bytes]:
    path = b"".join(rb"\\*/" + re.escape(part).encode("latin-1", "replace") for part in base.split("/")[1:])
    hosts = b"|".join(re.escape(name).encode("latin-1", "replace") for name in names)
    return re.compile(rb"(https?|wss?):((?:\\*/){2})(?:%s)%s%s" % (hosts, path, _END), re.IGNORECASE)


def _url(found: re.Match[bytes], schemes: Mapping[bytes, bytes], authority: bytes) -> bytes:
    scheme = found[1].lower()
    escape = found[2][:-1].split(b"/")[0]
    return schemes.get(scheme, scheme) + b":" + found[2] + authority.replace(b"/", escape + b"/")
