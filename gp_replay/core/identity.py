"""Whose request it is: the ``sub`` of its token. Read before redaction, never verified: it is a name, not a proof."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl

from gp_replay.core.model import RequestHead, header_values
from gp_replay.core.pseudonym import decode_segment, jwt_claims

__all__ = ["owner_of", "subprotocol_token"]

_MAX_OWNER = 256
_PREFIXES = (
    *(b"jwt.", b"jwt-auth.", b"bearer.", b"authorization.bearer.", b"openai-insecure-api-key."),
    b"base64url.bearer.authorization.k8s.io.",  # kubectl exec and attach
)
_QUERY_NAMES = frozenset({"token", "access_token", "jwt", "id_token"})


def owner_of(head: RequestHead) -> str | None:
    """The ``sub`` of the first token that has one: ``Authorization``, then subprotocols, then the query.

    Anything that is no JWT, or whose ``sub`` is no string of 1 to 256 characters, says nothing.
    """
    for token in _tokens(head):
        claims = jwt_claims(token)
        subject = claims.get("sub") if claims else None
        if isinstance(subject, str) and 0 < len(subject) <= _MAX_OWNER:
            return subject
    return None


def subprotocol_token(item: bytes) -> tuple[bytes, bytes] | None:
    """Splits a subprotocol item that carries a token into what stands before it and the token; None for others."""
    for prefix in _PREFIXES:
        if item.lower().startswith(prefix) and len(item) - len(prefix) >= 10:
            return item[: len(prefix)], item[len(prefix) :]
    return (b"", item) if jwt_claims(item) is not None else None


def _tokens(head: RequestHead) -> Iterator[bytes]:
    for value in header_values(head.headers, b"authorization"):
        scheme, _, token = value.partition(b" ")
        if scheme.lower() == b"bearer":
            yield token.strip()
    for value in header_values(head.headers, b"sec-websocket-protocol"):
        for item in value.split(b","):
            found = subprotocol_token(item.strip())
            if found is not None:
                decoded = decode_segment(found[1])
                if decoded is not None:
                    yield decoded
                yield found[1]
    query = head.target.partition(b"?")[2].decode("latin-1")
    for name, text in parse_qsl(query[:65_536]):
        if name.lower() in _QUERY_NAMES:
            yield text.encode("latin-1", "replace")
