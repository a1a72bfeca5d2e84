"""Soft evidence: what else a handshake says about who the client is, where several recordings fit.

A header counts only where its value differs among the recordings. Credentials are compared by the pseudonym they would
have had in that recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gp_replay.core.model import Headers, RequestHead
from gp_replay.core.pseudonym import SHORT
from gp_replay.core.redaction import RedactionRules, Redactor

__all__ = ["Values", "differing_headers", "redacted_heads", "values_of"]

_NO_EVIDENCE = frozenset(
    {
        *(b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-protocol"),
        *(b"host", b"connection", b"upgrade", b"keep-alive", b"te", b"trailer", b"transfer-encoding"),
        *(b"proxy-authorization", b"proxy-connection", b"content-length", b"date"),
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-request-id", b"traceparent"),
    }
)

Values = Mapping[bytes, tuple[bytes, ...]]
"""Of each header, by its name in lower case, its values in order."""


def values_of(headers: Headers) -> dict[bytes, tuple[bytes, ...]]:
    """The values of each header, by its name in lower case."""
    found: dict[bytes, tuple[bytes, ...]] = {}
    for name, value in headers:
        found[name.lower()] = (*found.get(name.lower(), ()), value)
    return found


def differing_headers(heads: Sequence[RequestHead]) -> list[bytes]:
    """Names of the headers that differ among recorded handshakes and are evidence, in alphabetical order."""
    values = [values_of(head.headers) for head in heads]
    names = {name for item in values for name in item} - _NO_EVIDENCE
    return sorted(name for name in names if len({item.get(name) for item in values}) > 1)


def redacted_heads(head: RequestHead, salts: Iterable[bytes]) -> dict[bytes, Values]:
    """The live handshake as each recording would have kept it, by the salt of its cassette.

    A short secret is an ordinal there and no evidence: it is left out.
    """
    found: dict[bytes, Values] = {}
    for salt in salts:
        kept = Redactor(RedactionRules(), salt=salt).head(head)
        pairs = zip(head.headers, kept.headers, strict=True)
        headers = tuple((name, new) for (name, old), (_, new) in pairs if old == new or len(old) >= SHORT)
        found[salt] = values_of(headers)
    return found
