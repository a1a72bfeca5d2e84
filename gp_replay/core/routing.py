"""Which role a request is for, and what its head becomes on the way upstream: the declared exceptions of the relay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from gp_replay.core.coding import decodable_only
from gp_replay.core.frames import deflate_only
from gp_replay.core.http1 import RequestLine, render_head
from gp_replay.core.model import Headers, header_value
from gp_replay.errors import UsageError

__all__ = [
    "DEFAULT_ROLE",
    "Upstream",
    "control_path",
    "is_namespace",
    "origin_form",
    "parse_upstream",
    "requested_hosts",
    "split_namespace",
    "split_role",
    "upstream_head",
    "within_namespace",
]

DEFAULT_ROLE = "default"
_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_SCHEMES = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_CONTROL = "_gp_replay"
_RESERVED = frozenset({_CONTROL})
# Not a dot first: clients resolve "." and ".." in a path, so such a namespace could be made and never be reached.
_NAMESPACE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,62}")
_IN_NAMESPACE = re.compile(rb"/(?:~|%7[Ee])(" + _NAMESPACE.pattern.encode() + rb")(?:(?=[/?])|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where a role is, in one environment.

    Attributes:
        role: its name.
        url: as given, without a trailing slash.
        host, port: where to connect.
        tls: https or wss.
        base_path: put before every request target; "" or like "/openai".
    """

    role: str
    url: str
    host: str
    port: int
    tls: bool
    base_path: str = ""

    @property
    def authority(self) -> str:
        """What ``Host`` says: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse_upstream(text: str) -> Upstream:
    """Reads ``[ROLE=]URL``; the scheme is http, https, ws or wss (ws and http are the same port and protocol here).

    Raises:
        UsageError: not such a URL, or no name for a role.
    """
    before, equals, after = text.partition("=")
    role, url = (before, after) if equals and "://" not in before else (DEFAULT_ROLE, text)
    hint = "like --upstream http://127.0.0.1:8080 or --upstream llm=https://api.example.com/v1"
    if not _ROLE.fullmatch(role) or role in _RESERVED:
        raise UsageError(f"{role!r} is no name for a role", hint="letters, digits, - _ . and at most 63 of them")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is not a URL: {error}", hint=hint) from error
    if (
        re.search(r"[\s\x00-\x1f]", url)
        or parts.scheme not in _SCHEMES
        or not parts.hostname
        or parts.query
        or parts.fragment
    ):
        raise UsageError(f"{url!r} is not a URL of an upstream", hint=hint)
    if parts.username is not None:
        raise UsageError(f"the URL of upstream {role} holds a user name", hint="let the client send its credential")
    return Upstream(
        role=role,
        url=url.rstrip("/"),
        host=parts.hostname,
        port=port or _SCHEMES[parts.scheme],
        tls=parts.scheme in ("https", "wss"),
        base_path=parts.path.rstrip("/"),
    )


def origin_form(target: bytes) -> bytes:
    """A request target without scheme and authority (RFC 9112 section 3.2.2), for clients that think we are a proxy."""
    absolute = re.match(rb"(?i)[a-z][a-z0-9+.-]*://[^/?]*", target)
    if absolute is None:
        return target
    rest = target[absolute.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def is_namespace(name: str) -> bool:
    """Whether a namespace may have this name: 1 to 63 letters, digits, ``-``, ``_`` and ``.``, the dot not first."""
    return _NAMESPACE.fullmatch(name) is not None


def split_namespace(target: bytes) -> tuple[str | None, bytes]:
    """The namespace a path names (``/~NAME/…``) and the target as that namespace sees it; None when it names none.

    Some clients write ``~`` as ``%7E``; RFC 3986 section 6.2.2.2 says that is the same.
    """
    found = _IN_NAMESPACE.match(target)
    if found is None:
        return None, target
    rest = target[found.end() :]
    return found[1].decode("ascii"), rest if rest.startswith(b"/") else b"/" + rest


def within_namespace(url: str, name: str) -> str:
    """A URL of ours (``http://HOST:PORT``, perhaps with a path) with the namespace's prefix before its path."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority}/~{name}{slash}{path}"


def control_path(target: bytes) -> str | None:
    """What follows ``/_gp_replay/`` in a target, without its query; None for targets that are the cassettes'."""
    first, _, rest = target.partition(b"?")[0].removeprefix(b"/").partition(b"/")
    return rest.decode("latin-1") if target.startswith(b"/") and first == _CONTROL.encode() else None


def split_role(target: bytes, roles: Iterable[str]) -> tuple[str | None, bytes]:
    """The role a path names (``/<role>/…``) and the target as that role sees it; None when it names none."""
    path, question, query = target.partition(b"?")
    first, slash, rest = path.removeprefix(b"/").partition(b"/")
    name = first.decode("latin-1")
    if path.startswith(b"/") and name in roles:
        return name, (b"/" + rest if slash else b"/") + question + query
    return None, target


def upstream_head(line: RequestLine, *, target: bytes, upstream: Upstream, keep_host: bool) -> bytes:
    """The head to send upstream. Only the target, ``Host``, ``Accept-Encoding`` and ``Sec-WebSocket-Extensions``
    change.

    Args:
        line: as the client sent it.
        target: as the role sees it.
        upstream: where it goes.
        keep_host: leave ``Host`` as the client sent it.
    """
    headers: list[tuple[bytes, bytes]] = []
    for name, value in line.headers:
        match name.lower():
            case b"host" if not keep_host:
                value = upstream.authority.encode("latin-1", "replace")
            case b"accept-encoding":
                value = decodable_only(value)
            case b"sec-websocket-extensions":
                value = deflate_only(value)
                if not value:
                    continue
            case _:
                pass
        headers.append((name, value))
    path = upstream.base_path.encode("latin-1", "replace") + target
    return render_head(b" ".join((line.method, path, line.version)), tuple(headers))


def requested_hosts(headers: Headers) -> Sequence[str]:
    """``X-Forwarded-Host``, then ``Host``, lower case; what decides between roles when the path names none."""
    values = (header_value(headers, b"x-forwarded-host"), header_value(headers, b"host"))
    return tuple(value.decode("latin-1").strip().lower() for value in values if value)
