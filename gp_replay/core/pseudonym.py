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
    rb"sk-(?:ant-|proj-|or-|live-|test-|svcacct-|admin-)?(?:api\d\d-|v1-)?|AIza|github_pat_|gh[opusr]_|AKIA|ASIA|xai-|glpat-"
    rb"|xox[abprs]-|hf_|pk-|gsk_|[sr]k_(?:live_|test_)?|nvapi-|pplx-|ya29\.|eyJ"
)
# A byte beyond ASCII becomes a letter, so it counts as one: else a pseudonym could hold an escape its value had not.
_ESCAPE = re.compile(rb"%[0-9A-Za-z\x80-\xff]{2}|\\+u[0-9A-Za-z\x80-\xff]{4}|\\+.", re.DOTALL)
_CLASSES = ((b"abcdefghijklmnopqrstuvwxyz", 26), (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 26), (b"0123456789", 10))
_CLASS_OF = {byte: letters for letters, _ in _CLASSES for byte in letters}
_CHECKED = 5
_MIN_CHECKED = 12
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
        self._ordinals: dict[bytes, int] = {}
        self._count = 0
        self._issued: set[bytes] = set()

    def credential(self, value: bytes) -> bytes:
        """The pseudonym of a credential: as long as ``value``; a pseudonym of this salt is returned as it is.

        Only letters and digits count, so that a value and its escaped form in JSON have the same one.
        """
        places, prefix = self._places(value)
        core = _at(value, places)
        if core in self._issued:
            return value
        if len(places) + prefix < SHORT or len(places) < _MIN_CHECKED:
            return self._ordinal(value, places, core)
        if self._is_own(value, places):
            return value
        return self._checked(_fill(value, places, self._stream(b"value" + core, len(places))), places)

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
        if len(places) >= _MIN_CHECKED and self._is_own(signature, places):
            return token
        kept = {name: claims[name] for name in _KEPT_CLAIMS if isinstance(claims.get(name), str | int | float)}
        size = len(decode_segment(payload) or b"")
        body = orjson.dumps(kept)
        while len(body) > size:
            kept.popitem()
            body = orjson.dumps(kept)
        body += b" " * (size - len(body))
        if len(places) >= _MIN_CHECKED:
            dead = self._checked(_fill(signature, places, self._stream(b"jwt" + token, len(places))), places)
        else:
            dead = _fill(signature, places, bytes(len(places)))  # too short for a check: always the same
        made = b".".join((header, urlsafe_b64encode(body).rstrip(b"="), dead))
        return made if len(made) == len(token) else self.credential(token)

    def _places(self, value: bytes) -> tuple[list[int], int]:
        """Where the characters stand that are replaced, and the length of the known prefix."""
        found = _PREFIX.match(value)
        prefix = found.end() if found else 0
        kept = {place for escape in _ESCAPE.finditer(value) for place in range(*escape.span())}
        places = [
            place
            for place in range(prefix, len(value))
            if (value[place] in _CLASS_OF or value[place] > 0x7F) and place not in kept
        ]
        return places, prefix

    def _ordinal(self, value: bytes, places: list[int], core: bytes) -> bytes:
        """A short value's number of appearance, written with its own kinds of characters (``x`` for non-ASCII ones).

        Where they cannot hold the number (a very short value, or many), the highest digits are lost: then two secrets
        may share a pseudonym, which says less about them, not more.
        """
        number = self._ordinals.get(core)
        if number is None:
            self._count += 1
            number = self._count
            for _ in range(_RETRIES):
                made = _at(_written(value, places, number), places)
                if made != core and made not in self._issued:
                    break
                number = self._count = number + 1
            self._ordinals[core] = number
            self._issued.add(_at(_written(value, places, number), places))
        return _written(value, places, number)

    def _stream(self, label: bytes, size: int) -> bytes:
        out = b""
        block = 0
        while len(out) < size:
            out += blake2b(label, key=self._salt, salt=block.to_bytes(8, "big")).digest()
            block += 1
        return out

    def _check(self, value: bytes, places: list[int]) -> bytes:
        return blake2b(_at(value, places[:-_CHECKED]), key=self._salt, digest_size=_CHECKED, person=b"check").digest()

    def _checked(self, value: bytes, places: list[int]) -> bytes:
        return _fill(value, places[-_CHECKED:], self._check(value, places))

    def _is_own(self, value: bytes, places: list[int]) -> bool:
        return self._checked(value, places) == value


def _at(value: bytes, places: list[int]) -> bytes:
    return bytes([value[place] for place in places])


def _written(value: bytes, places: list[int], number: int) -> bytes:
    out = bytearray(value)
    for place in reversed(places):
        letters = _CLASS_OF.get(value[place])
        if letters is None:
            out[place] = ord("x")
        else:
            number, digit = divmod(number, len(letters))
            out[place] = letters[digit]
    return bytes(out)


def _fill(value: bytes, places: list[int], stream: bytes) -> bytes:
    out = bytearray(value)
    for place, byte in zip(places, stream, strict=False):
        letters = _CLASS_OF.get(value[place], b"x")
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
