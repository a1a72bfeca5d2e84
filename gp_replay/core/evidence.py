"""Soft evidence: what else a handshake says about who the client is, where several recordings fit.

A header counts only where its value differs among the recordings left. A recording that alone agrees with the live
client in all of it is its own at once; else those that agree in more come first. Credentials are compared by the
pseudonym they would have had in that recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gp_replay.core.model import Headers, RequestHead
from gp_replay.core.playing import Candidate
from gp_replay.core.pseudonym import SHORT
from gp_replay.core.redaction import RedactionRules, Redactor

__all__ = ["by_evidence", "differing_headers", "redacted_heads"]

_NO_EVIDENCE = frozenset(
    {
        *(b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-protocol"),
        *(b"host", b"connection", b"upgrade", b"keep-alive", b"te", b"trailer", b"transfer-encoding"),
        *(b"proxy-authorization", b"proxy-connection", b"content-length", b"date"),
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-request-id", b"traceparent"),
    }
)

Values = Mapping[bytes, tuple[bytes, ...]]


def _values(headers: Headers) -> dict[bytes, tuple[bytes, ...]]:
    found: dict[bytes, tuple[bytes, ...]] = {}
    for name, value in headers:
        found[name.lower()] = (*found.get(name.lower(), ()), value)
    return found


def differing_headers(heads: Sequence[RequestHead]) -> list[bytes]:
    """Names of the headers that differ among recorded handshakes and are evidence, in alphabetical order."""
    values = [_values(head.headers) for head in heads]
    names = {name for item in values for name in item} - _NO_EVIDENCE
    return sorted(name for name in names if len({item.get(name) for item in values}) > 1)


def redacted_heads(head: RequestHead, candidates: Sequence[Candidate]) -> dict[bytes, Values]:
    """The live handshake as each recording would have kept it, by the salt of its cassette.

    A short secret is an ordinal there and no evidence: it is left out.
    """
    found: dict[bytes, Values] = {}
    for salt in {candidate.recorded.script.cassette.header.salt for candidate in candidates}:
        kept = Redactor(RedactionRules(), salt=salt).head(head)
        pairs = zip(head.headers, kept.headers, strict=True)
        found[salt] = _values(tuple((name, new) for (name, old), (_, new) in pairs if old == new or len(old) >= SHORT))
    return found


def by_evidence(candidates: list[Candidate], live: Mapping[bytes, Values]) -> list[Candidate]:
    """The candidates in the order of what speaks for them; the one that alone has everything for it, alone."""
    names = differing_headers([candidate.script.head for candidate in candidates])
    if not names:
        return candidates
    scores: list[int] = []
    for candidate in candidates:
        said, kept = live[candidate.recorded.script.cassette.header.salt], _values(candidate.script.head.headers)
        scores.append(sum(said.get(name) == kept.get(name) for name in names))
    if scores.count(len(names)) == 1:
        return [candidates[scores.index(len(names))]]
    order = sorted(range(len(candidates)), key=lambda number: -scores[number])
    return [candidates[number] for number in order]
