"""What services say when they fail: statuses with the headers and the body of each API's own kind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from gp_replay.core.model import Headers, RequestHead, header_value

__all__ = ["Api", "Outage", "api_of", "outage", "refused_upgrade"]

_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    529: "Overloaded",
}
_OPENAI_PATHS = ("completions", "responses", "embeddings", "models", "moderations", "generations", "speech")
_RETRIED = frozenset({429, 503, 529})


class Api(Enum):
    """A family of APIs, told by its requests."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A failing answer, whole."""

    status: int
    reason: bytes
    headers: Headers
    body: bytes


# By API: status to (type or status word, code, message). What is not listed is said as the nearest listed one below.
_SAYS: dict[Api, dict[int, tuple[str, str | None, str]]] = {
    Api.OPENAI: {
        400: ("invalid_request_error", None, "The request was malformed."),
        401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
        429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again in 120ms."),
        500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
        503: ("server_error", None, "The engine is currently overloaded, please try again later."),
    },
    Api.ANTHROPIC: {
        400: ("invalid_request_error", None, "The request was malformed."),
        401: ("authentication_error", None, "invalid x-api-key"),
        429: ("rate_limit_error", None, "This request would exceed your organization's rate limit."),
        500: ("api_error", None, "Internal server error"),
        529: ("overloaded_error", None, "Overloaded"),
    },
    Api.GEMINI: {
        400: ("INVALID_ARGUMENT", None, "Request contains an invalid argument."),
        401: ("UNAUTHENTICATED", None, "Request is missing required authentication credential."),
        429: ("RESOURCE_EXHAUSTED", None, "Resource has been exhausted (e.g. check quota)."),
        500: ("INTERNAL", None, "An internal error has occurred."),
        503: ("UNAVAILABLE", None, "The model is overloaded. Please try again later."),
    },
}
_RETRY_HEADERS: dict[Api, Headers] = {
    Api.OPENAI: (
        (b"retry-after", b"1"),
        (b"retry-after-ms", b"120"),
        (b"x-ratelimit-limit-requests", b"500"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", b"120ms"),
    ),
    Api.ANTHROPIC: (
        (b"retry-after", b"1"),
        (b"anthropic-ratelimit-requests-limit", b"50"),
        (b"anthropic-ratelimit-requests-remaining", b"0"),
        (b"x-should-retry", b"true"),
    ),
    Api.GEMINI: (),  # it says when in the body
    Api.OTHER: ((b"retry-after", b"1"),),
}


def api_of(request: RequestHead) -> Api:
    """Whose API a request is for."""
    path = request.target.partition(b"?")[0].decode("latin-1")
    if header_value(request.headers, b"anthropic-version") is not None or path.endswith("/v1/messages"):
        return Api.ANTHROPIC
    if ":generateContent" in path or ":streamGenerateContent" in path or ":countTokens" in path:
        return Api.GEMINI
    parts = path.strip("/").split("/")
    return Api.OPENAI if parts[0] == "v1" and any(part in _OPENAI_PATHS for part in parts[1:]) else Api.OTHER


def outage(request: RequestHead, status: int) -> Outage:
    """How the service asked fails with this status, with the headers that say when to try again."""
    api = api_of(request)
    headers = _RETRY_HEADERS[api] if status in _RETRIED else ()
    return _whole(status, json.dumps(_body(api, status)).encode(), b"application/json", headers)


def refused_upgrade(status: int) -> Outage:
    """How a WebSocket handshake is refused: a close before accept is a 403 without a body to a client."""
    body = b"" if status == 403 else _reason(status).encode()
    headers: Headers = ((b"retry-after", b"1"),) if status in _RETRIED else ()
    return _whole(status, body, b"text/plain; charset=utf-8", (*headers, (b"connection", b"close")))


def _whole(status: int, body: bytes, media_type: bytes, headers: Headers) -> Outage:
    own: Headers = ((b"content-type", media_type), (b"content-length", b"%d" % len(body)))
    return Outage(status=status, reason=_reason(status).encode(), headers=(*own, *headers), body=body)


def _reason(status: int) -> str:
    return _REASONS.get(status, "Error")


def _body(api: Api, status: int) -> dict[str, object]:
    if api is Api.OTHER:
        return {"detail": _reason(status)}
    says = _SAYS[api]
    kind, code, message = says.get(status) or says[500 if status >= 500 else 400]
    match api:
        case Api.OPENAI:
            return {"error": {"message": message, "type": kind, "param": None, "code": code}}
        case Api.ANTHROPIC:
            error: dict[str, object] = {"type": kind, "message": message}
            return {"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}
        case _:
            error = {"code": status, "message": message, "status": kind}
            if status in _RETRIED:
                info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}
                error["details"] = [info]
            return {"error": error}
