"""What stands for a secret: of the same length, alphabet and known prefix, so that framing and JSON stay valid.

Every lower-case letter, capital and digit becomes another one of its class; everything else stays. The replacement is
keyed with the cassette's salt, so equal secrets stay equal and nobody can try guesses against it without the salt's
file; values under 20 characters could be guessed all the same and become ordinals. The last characters of a pseudonym
are a check over the others: that is how our own is recognised and left alone, which makes redaction idempotent.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

import orjson

__all__ = ["SHORT", "Pseudonyms", "decode_segment", "encode_segment", "jwt_claims"]

SHORT = 20
"""Values shorter than this become ordinals."""

_PREFIX = re.compile(
    rb"sk-(?:ant-|proj-|or-|live-|test-|svcacct-|admin-)?(?:api\d\d-|v1-)?|AIza|github_pat_|gh[opusr]_|AKIA|ASIA|xai-|glpat-|xox[abprs]-|hf_|pk-"
)
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}|\\+u[0-9A-Fa-f]{4}|\\+.", re.DOTALL)
_CLASSES = ((b"abcdefghijklmnopqrstuvwxyz", 26), (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 26), (b"0123456789", 10))
_CLASS_OF = {byte: letters for letters, _ in _CLASSES for byte in letters}
_CHECKED = 5
_RETRIES = 64
_KEPT_CLAIMS = ("sub", "exp", "iat", "nbf")
_MAX_JWT = 16_384


class Pseudonyms:
    """Makes the pseudonyms of one cassette.

    Args:
        salt: from its header.
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt[:64]
        self._ordinals: dict[bytes, bytes] = {}
        self._issued: set[bytes] = set()

    def credential(self, value: bytes) -> bytes:
        """The pseudonym of a credential: as long as ``value``; a pseudonym of this salt is returned as it is."""
        if len(value) < SHORT:
            return self._ordinal(value)
        kept = self._kept_positions(value)
        places = [place for place, byte in enumerate(value) if byte in _CLASS_OF and place not in kept]
        if len(places) < 12:
            return self._ordinal(value)
        if self._is_own(value, places):
            return value
        stream = self._stream(b"value" + value, len(places))
        return self._checked(_fill(value, places, stream), places)

    def jwt(self, token: bytes) -> bytes:
        """The pseudonym of a JWT: a well-formed one of the same length with ``sub``, ``exp``, ``iat`` and ``nbf``
        kept.

        Its signature is dead. What only looks like a JWT gets the pseudonym of a credential.
        """
        claims = jwt_claims(token)
        if claims is None:
            return self.credential(token)
        header, payload, signature = token.split(b".")
        places = [place for place, byte in enumerate(signature) if byte in _CLASS_OF]
        if len(places) >= 12 and self._is_own(signature, places):
            return token
        kept = {name: claims[name] for name in _KEPT_CLAIMS if isinstance(claims.get(name), str | int | float)}
        size = len(decode_segment(payload) or b"")
        body = orjson.dumps(kept)
        while len(body) > size:
            kept.popitem()
            body = orjson.dumps(kept)
        body += b" " * (size - len(body))
        if len(places) >= 12:
            dead = self._checked(_fill(signature, places, self._stream(b"jwt" + token, len(places))), places)
        else:
            dead = _fill(signature, places, bytes(len(places)))  # too short for a check: always the same
        made = b".".join((header, urlsafe_b64encode(body).rstrip(b"="), dead))
        return made if len(made) == len(token) else self.credential(token)

    def _kept_positions(self, value: bytes) -> set[int]:
        prefix = _PREFIX.match(value)
        kept = set(range(prefix.end())) if prefix else set()
        for escape in _ESCAPE.finditer(value):
            kept.update(range(*escape.span()))
        return kept

    def _ordinal(self, value: bytes) -> bytes:
        """A short value's number of appearance, written with its own kinds of characters.

        Where they cannot hold the number (a very short value, or many), the highest digits are lost: then two secrets
        may share a pseudonym, which says less about them, not more.
        """
        if value in self._issued or not value:
            return value
        found = self._ordinals.get(value)
        if found is None:
            number = len(self._ordinals) + 1
            found = self._written(value, number)
            for _ in range(_RETRIES):
                if found != value and found not in self._issued:
                    break
                number += 1
                found = self._written(value, number)
            self._ordinals[value] = found
            self._issued.add(found)
        return found

    def _written(self, value: bytes, number: int) -> bytes:
        out = bytearray(value)
        kept = self._kept_positions(value)
        for place in reversed(range(len(value))):
            letters = _CLASS_OF.get(value[place])
            if letters is not None and place not in kept:
                number, digit = divmod(number, len(letters))
                out[place] = letters[digit]
            elif value[place] > 0x7F:
                out[place] = ord("x")
        return bytes(out)

    def _stream(self, label: bytes, size: int) -> bytes:
        out = b""
        block = 0
        while len(out) < size:
            out += blake2b(label, key=self._salt, salt=block.to_bytes(8, "big")).digest()
            block += 1
        return out

    def _check(self, value: bytes, places: list[int]) -> bytes:
        body = bytearray(value)
        for place in places[-_CHECKED:]:
            body[place] = 0
        return blake2b(bytes(body), key=self._salt, digest_size=_CHECKED, person=b"check").digest()

    def _checked(self, value: bytes, places: list[int]) -> bytes:
        return _fill(value, places[-_CHECKED:], self._check(value, places))

    def _is_own(self, value: bytes, places: list[int]) -> bool:
        return self._checked(value, places) == value


def _fill(value: bytes, places: list[int], stream: bytes) -> bytes:
    out = bytearray(value)
    for place, byte in zip(places, stream, strict=False):
        letters = _CLASS_OF[value[place]]
        out[place] = letters[byte % len(letters)]
    return bytes(out)


def decode_segment(segment: bytes) -> bytes | None:
    """The bytes of an unpadded base64url text, or None."""
    try:
        return urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except ValueError:
        return None


def encode_segment(raw: bytes, *, like: bytes) -> bytes:
    """``raw`` in base64url, padded as ``like`` is."""
    text = urlsafe_b64encode(raw)
    return text if like.endswith(b"=") else text.rstrip(b"=")


def jwt_claims(token: bytes) -> dict[str, object] | None:
    """The claims of a JWT (RFC 7519), not verified; None for anything else, oversized or hostile tokens included."""
    parts = token.split(b".")
    if len(parts) != 3 or len(token) > _MAX_JWT:
        return None
    found: list[dict[str, object]] = []
    for part in parts[:2]:
        raw = decode_segment(part)
        try:
            value = orjson.loads(raw) if raw else None
        except orjson.JSONDecodeError:
            return None
        if not isinstance(value, dict):
            return None
        found.append(value)
    return found[1]
