"""JSON Web Tokens with HMAC-SHA-256 (RFC 7519, RFC 7515 ``alg`` HS256): just what the demo needs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from gp_replay.errors import GpReplayError

__all__ = [
    "AUTH_SUBPROTOCOL",
    "DEMO_SECRET",
    "LIFETIME_S",
    "TokenRefused",
    "check_token",
    "find_token",
    "make_token",
    "subprotocols_with",
]

AUTH_SUBPROTOCOL = "jwt-auth"

DEMO_SECRET = "gp-replay demo secret: public on purpose, signs nothing of value"
"""Signs the demo's tokens. Everybody may know it: the demo agent listens on loopback and guards nothing."""

LIFETIME_S = 15 * 60
_TOKEN_ITEM = "jwt."
_ISSUER = "gp-replay-demo"
_HEADER = {"alg": "HS256", "typ": "JWT"}


class TokenRefused(GpReplayError):
    """A token that does not open the door. ``problem`` says why, without quoting the token."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


def make_token(user: str, secret: str, *, now: int) -> str:
    """Sign a token for one user: the same arguments give the same token.

    Args:
        user: becomes ``sub``.
        secret: key of the signature.
        now: seconds since 1970; the token is good from then for `LIFETIME_S` seconds.
    """
    claims = {
        "sub": user,
        "email": f"{user}@example.com",
        "permissions": ["chat"],
        "iat": now,
        "exp": now + LIFETIME_S,
        "iss": _ISSUER,
        "jti": hashlib.sha256(f"{user} {now}".encode()).hexdigest()[:32],
    }
    signed = f"{_encode(_json(_HEADER))}.{_encode(_json(claims))}"
    return f"{signed}.{_encode(_sign(signed, secret))}"


def check_token(token: str, secret: str, *, now: int) -> str:
    """Return the user a token belongs to.

    Args:
        token: three base64url parts joined by dots.
        secret: key of the signature.
        now: seconds since 1970; a token expires at ``exp``, not after it.

    Raises:
        TokenRefused: it is not a JWT, not signed with this secret and HS256, expired, or names no user.
    """
    signed, _, signature = token.rpartition(".")
    head, dot, body = signed.partition(".")
    if not dot or "." in body:
        raise TokenRefused("not a JSON Web Token")
    # The algorithm is ours, never the token's: "none" and others do not get as far as a signature.
    if _object(head).get("alg") != _HEADER["alg"]:
        raise TokenRefused("the token is not signed with HS256")
    if not hmac.compare_digest(_decode(signature), _sign(signed, secret)):
        raise TokenRefused("the token's signature is wrong")
    claims = _object(body)
    expires = claims.get("exp")
    if not isinstance(expires, (int, float)) or expires <= now:
        raise TokenRefused("the token has expired")
    user = claims.get("sub")
    if not isinstance(user, str) or not user:
        raise TokenRefused("the token names no user")
    return user


def subprotocols_with(token: str) -> list[str]:
    """What a client offers that cannot set headers, as a browser: the scheme, and the token as a second item."""
    return [AUTH_SUBPROTOCOL, _TOKEN_ITEM + _encode(token.encode())]


def find_token(authorization: str, offered: str) -> str:
    """The token of an upgrade request.

    Args:
        authorization: value of ``Authorization``, "" if there is none. It wins.
        offered: value of ``Sec-WebSocket-Protocol``, a comma list, "" if there is none.

    Raises:
        TokenRefused: neither has one.
    """
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    for item in offered.split(","):
        name = item.strip()
        if name.startswith(_TOKEN_ITEM):
            return _decode(name.removeprefix(_TOKEN_ITEM)).decode(errors="replace")
    raise TokenRefused("a token is needed, as a bearer or in a subprotocol")


def _sign(signed: str, secret: str) -> bytes:
    return hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()


def _json(value: dict[str, object] | dict[str, str]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TokenRefused("not a JSON Web Token") from None


def _object(part: str) -> dict[str, object]:
    try:
        value = json.loads(_decode(part))
    except (ValueError, RecursionError):
        raise TokenRefused("not a JSON Web Token") from None
    if not isinstance(value, dict):
        raise TokenRefused("not a JSON Web Token")
    return value
