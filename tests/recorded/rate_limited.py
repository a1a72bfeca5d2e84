"""A front that is over its limit once: the first request of each path gets a 429, all others go on to a real LLM.

No local LLM limits anybody, so this stood between the recorder and the LLM when `openai-retry` and `anthropic-retry` were
recorded; start it anew for each::

    python tests/recorded/rate_limited.py PORT LLM_PORT

The 429s are written by hand in the manner of the two APIs, header names and error bodies included. They say
``retry-after-ms``, which both SDKs obey: a second of ``retry-after`` would be a second in every test run.
What is relayed, is relayed as it is: only requests are parsed, to know where the next one begins.
"""

from __future__ import annotations

import asyncio
import json
import sys

_OPENAI = (
    {
        "content-type": "application/json; charset=utf-8",
        "openai-processing-ms": "3",
        "openai-version": "2020-10-01",
        "retry-after-ms": "50",
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-limit-tokens": "40000",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-remaining-tokens": "39941",
        "x-ratelimit-reset-requests": "50ms",
        "x-ratelimit-reset-tokens": "88ms",
        "x-request-id": "req_5d41402abc4b2a76b9719d911017c592",
    },
    {
        "error": {
            "message": "Rate limit reached for smollm2-135m in organization org-demo on requests per min (RPM): "
            "Limit 3, Used 3, Requested 1. Please try again in 50ms.",
            "type": "requests",
            "param": None,
            "code": "rate_limit_exceeded",
        }
    },
)
_ANTHROPIC = (
    {
        "Content-Type": "application/json",
        "x-should-retry": "true",
        "retry-after-ms": "50",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-26T02:00:01Z",
        "request-id": "req_018EeWyXxfu5pfWkrYcMdjWG",
    },
    {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": "This request would exceed the rate limit for your organization of 50 requests per minute.",
        },
        "request_id": "req_018EeWyXxfu5pfWkrYcMdjWG",
    },
)


def too_many(path: str) -> bytes:
    """The 429 of the API that this path belongs to, as bytes of the wire."""
    headers, error = _ANTHROPIC if path.startswith("/v1/messages") else _OPENAI
    body = json.dumps(error, indent=4).encode() + b"\n"
    lines = ["HTTP/1.1 429 Too Many Requests", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Front:
    """See the module."""

    def __init__(self, llm_port: int) -> None:
        self._llm_port = llm_port
        self._limited: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client: each of its requests is refused or relayed whole; whatever the LLM says goes back as it comes."""
        from_llm, to_llm = await asyncio.open_connection("127.0.0.1", self._llm_port)
        answers = asyncio.create_task(_copy(from_llm, writer))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").lower().split("\r\n")
                lengths = [line.partition(":")[2] for line in lines if line.startswith("content-length:")]
                body = await reader.readexactly(int(lengths[0]) if lengths else 0)
                path = lines[0].split(" ")[1].partition("?")[0]
                if path in self._limited:
                    to_llm.write(head + body)
                else:
                    self._limited.add(path)
                    writer.write(too_many(path))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left
        finally:
            answers.cancel()
            to_llm.close()
            writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
    target.close()


async def main(port: int, llm_port: int) -> None:
    """Listens until it is stopped."""
    server = await asyncio.start_server(Front(llm_port).serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
