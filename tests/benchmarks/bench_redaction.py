"""What redaction costs per streamed event, against a copy of the bytes and one pass of a regular expression.

Run: ``python tests/benchmarks/bench_redaction.py``. Times differ between machines, ratios hardly do.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from gp_replay.core.model import Event, Message, Opcode, Piece, ResponseHead, Side
from gp_replay.core.redaction import RedactionRules, Redactor

EVENT = (
    b'data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,'
    b'"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"Hello"},"logprobs":null,"finish_reason":null}]}\n\n'
)
LOGPROBS = EVENT.replace(b'"logprobs":null', b'"logprobs":{"content":[{"token":"Hello","logprob":-0.1,"bytes":[72]}]}')
SECRET = EVENT.replace(b"Hello", b"sk-abcdefghij0123456789ABCD")
ONE_PASS = re.compile(rb"(?:sk-|eyJ|AIza|ghp_)[A-Za-z0-9_.-]{20,}|\"(?:api_key|password|access_token)\"")


def microseconds(work: Callable[[], object], *, rounds: int = 3000) -> float:
    """The best of five, per call."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(rounds):
            work()
        best = min(best, (time.perf_counter() - began) / rounds)
    return best * 1e6


def redacting(event: Event, *, media: bytes, literals: int = 2) -> Callable[[], object]:
    rules = RedactionRules(literals=tuple(b"%c-literal-%04d-value" % (97 + n, n) for n in range(literals)))
    stream = Redactor(rules, salt=b"0123456789abcdef").stream()
    head = ((b"Content-Type", media),)
    stream.feed(
        ResponseHead(at_us=0, stream=1, side=Side.SERVER, version=b"HTTP/1.1", status=200, reason=b"OK", headers=head)
    )
    return lambda: stream.feed(event)


def piece(data: bytes) -> Piece:
    return Piece(at_us=1, stream=1, side=Side.SERVER, data=data)


def main() -> None:
    copy = microseconds(lambda: bytes(bytearray(EVENT)))
    one_pass = microseconds(lambda: ONE_PASS.search(EVENT))
    sse = b"text/event-stream"
    message = Message(at_us=1, stream=1, side=Side.SERVER, opcode=Opcode.TEXT, data=EVENT[6:-2])
    cases = {
        "SSE event": redacting(piece(EVENT), media=sse),
        "SSE event with logprobs": redacting(piece(LOGPROBS), media=sse),
        "SSE event with a secret": redacting(piece(SECRET), media=sse),
        "SSE event, 20 literals": redacting(piece(EVENT), media=sse, literals=20),
        "WebSocket message": redacting(message, media=sse),
        "JSON body piece": redacting(piece(EVENT), media=b"application/json"),
        "64 KiB piece": redacting(piece(EVENT * 212), media=b"application/json"),
    }
    print(f"{len(EVENT)}-byte event: copy {copy:.2f} us, one regular expression {one_pass:.2f} us")
    for name, work in cases.items():
        cost = microseconds(work, rounds=100 if name.startswith("64") else 3000)
        print(f"{name:26} {cost:9.1f} us  {cost / copy:8.0f} x copy  {cost / one_pass:6.1f} x one regular expression")


if __name__ == "__main__":
    main()
