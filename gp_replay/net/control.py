"""The control paths of a replay: namespaces for suites in any language, over the port that is there anyway.

::

    POST   /_gp_replay/namespaces/NAME           201 name, url, urls; 400 no name, 409 there already, 429 too many
    GET    /_gp_replay/namespaces                200 what is there
    GET    /_gp_replay/namespaces/NAME/receipt   200 its receipt so far
    DELETE /_gp_replay/namespaces/NAME           200 its final receipt; its connections end
    else                                         404 with a hint

Only for programs on this machine: a peer that is not on loopback and a web page (it cannot leave out ``Origin`` where
it changes something) get 403. No control request is a miss, and none is counted.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

from gp_replay.core.acts import Tally
from gp_replay.core.http1 import RequestLine
from gp_replay.core.model import header_value
from gp_replay.core.routing import is_namespace, within_namespace
from gp_replay.errors import UsageError
from gp_replay.net.namespaces import Namespaces
from gp_replay.report.receipt import Receipt

__all__ = ["Account", "Control", "is_loopback"]

_HINT = (
    "POST or DELETE /_gp_replay/namespaces/NAME, GET /_gp_replay/namespaces/NAME/receipt, GET /_gp_replay/namespaces"
)


class Account(Protocol):
    """What a running replay says about itself."""

    @property
    def url(self) -> str:
        """Serves all roles."""

    @property
    def urls(self) -> Mapping[str, str]:
        """Role to URL."""

    def receipt_of(self, tally: Tally) -> Receipt:
        """The receipt of one play state."""


class Control:
    """Answers control requests.

    Args:
        namespaces: to look after.
        account: knows addresses and receipts.
    """

    def __init__(self, namespaces: Namespaces, account: Account) -> None:
        self._namespaces = namespaces
        self._account = account

    def answer(self, line: RequestLine, path: str, *, peer: object, close: bool) -> bytes:
        """The whole answer to one request.

        Args:
            line: of the request; its body means nothing.
            path: from `gp_replay.core.routing.control_path`.
            peer: the client's address as the socket gives it.
            close: the connection ends after it.
        """
        if not is_loopback(peer):
            status, plain = _problem(403, "control paths are for this machine", "ask from where the replay runs")
        elif header_value(line.headers, b"origin") is not None:
            status, plain = _problem(403, "control paths are not for web pages", "ask without an Origin header")
        else:
            status, plain = self._do(line.method, path)
        return _render(status, plain, close=close, bodiless=line.method == b"HEAD")

    def _do(self, method: bytes, path: str) -> tuple[int, Mapping[str, object]]:
        match (method, path.split("/")):
            case (b"GET" | b"HEAD", ["namespaces"]):
                return 200, {"namespaces": [self._plain(name) for name in self._namespaces.names]}
            case (b"POST", ["namespaces", name]):
                return self._create(name)
            case (b"GET" | b"HEAD", ["namespaces", name, "receipt"]) if name in self._namespaces:
                return 200, self._receipt(name, self._namespaces[name].tally)
            case (b"DELETE", ["namespaces", name]) if name in self._namespaces:
                return 200, self._receipt(name, self._namespaces.remove(name))
            case (b"GET" | b"HEAD", ["namespaces", name, "receipt"]) | (b"DELETE", ["namespaces", name]):
                return _problem(404, f"there is no namespace {name!r}", f"POST /_gp_replay/namespaces/{name}")
            case _:
                return _problem(404, "no such control path", _HINT)

    def _create(self, name: str) -> tuple[int, Mapping[str, object]]:
        try:
            self._namespaces.create(name)
        except UsageError as error:
            status = 409 if name in self._namespaces else 429 if is_namespace(name) else 400
            return _problem(status, str(error), error.hint)
        return 201, self._plain(name)

    def _plain(self, name: str) -> dict[str, object]:
        urls = {role: within_namespace(url, name) for role, url in self._account.urls.items()}
        return {"name": name, "url": within_namespace(self._account.url, name), "urls": urls}

    def _receipt(self, name: str, tally: Tally) -> dict[str, object]:
        return {"name": name, **self._account.receipt_of(tally).plain()}


def is_loopback(peer: object) -> bool:
    """Whether a socket's peer is on this machine's loopback; what is no address is not."""
    host = peer[0] if isinstance(peer, tuple) and peer else None
    try:
        address = ipaddress.ip_address(host) if isinstance(host, str) else None
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def _problem(status: int, message: str, hint: str) -> tuple[int, Mapping[str, object]]:
    return status, {"error": {"type": "gp_replay_control", "message": message, "hint": hint}}


def _render(status: int, plain: Mapping[str, object], *, close: bool, bodiless: bool) -> bytes:
    body = json.dumps(plain).encode() + b"\n"
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "x-gp-replay: control",
        *(["Connection: close"] if close else []),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + (b"" if bodiless else body)
