from __future__ import annotations

import asyncio
import json
import socket

import pytest
from scripted_llm import LAST, OK, Answer, calls, chunk, delta, event, scripted_llm, status, text
from wire import raw_server, run

from gp_replay.demo.llm import LlmClient, LlmFailed, Reply, ToolCall
from gp_replay.demo.prompt import said

HELLO = [said("user", "hello")]


def ask(answer: Answer, *, timeout_s: float = 10.0) -> tuple[Reply, list[str]]:
    heard: list[str] = []

    async def hear(piece: str) -> None:
        heard.append(piece)

    async def talk() -> Reply:
        async with scripted_llm(lambda _: answer) as llm:
            client = LlmClient(url=llm.url, model="m", timeout_s=timeout_s)
            return await client.chat(HELLO, max_tokens=5, on_text=hear)

    return asyncio.run(talk()), heard


def test_text_arrives_piece_by_piece_and_whole() -> None:
    reply, heard = ask(text("Hel", "lo, ", "wörld"))
    assert heard == ["Hel", "lo, ", "wörld"]
    assert reply == Reply(text="Hello, wörld")


def test_tool_calls_are_put_together_from_their_pieces() -> None:
    reply, heard = ask(calls(("a", "calculator", '{"expression": "1"}'), ("b", "cost_lookup", "{}")))
    assert heard == []
    assert reply.tool_calls == (
        ToolCall(id="a", name="calculator", arguments='{"expression": "1"}'),
        ToolCall(id="b", name="cost_lookup", arguments="{}"),
    )


WHOLE = b"".join(
    [
        b": a comment\n\n",
        b'data: {"choices": [{"delta": {"content": "one"}}]}\n\n',
        b'data:{"choices":[{"delta":{"content":"two"},"finish_reason":"stop"}]}\r\n\r\n',
        b"data: [DONE]\n\n",
    ]
)


@pytest.mark.parametrize("size", [1, 7, len(WHOLE)])
@pytest.mark.parametrize("framing", ["chunked", "counted", "until closed"])
def test_boundaries_of_the_body_do_not_matter(size: int, framing: str) -> None:
    parts = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
    pieces = {
        "chunked": [head + b"Transfer-Encoding: chunked\r\n\r\n", *map(chunk, parts), LAST],
        "counted": [head + b"Content-Length: %d\r\n\r\n" % len(WHOLE), *parts],
        "until closed": [head + b"\r\n", *parts],
    }[framing]
    assert ask(Answer(pieces)) == (Reply(text="onetwo"), ["one", "two"])


def test_done_ends_the_answer_though_the_body_goes_on() -> None:
    stream = [OK, delta({"content": "a"}, "stop"), event(b"[DONE]"), event(b"not JSON")]
    assert ask(Answer(stream, hang=True))[0] == Reply(text="a")


def test_last_chunk_after_done_is_waited_for_so_that_no_exchange_breaks_off() -> None:
    stayed: list[bool] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0]))
        writer.write(OK + delta({"content": "a"}, "stop") + event(b"[DONE]"))
        leaving = asyncio.create_task(reader.read())
        await asyncio.wait([leaving], timeout=0.05)
        stayed.append(not leaving.done())
        writer.write(LAST)
        await leaving
        writer.close()

    async def talk() -> Reply:
        async with raw_server(serve) as url:
            return await LlmClient(url=url, model="m").chat(HELLO, max_tokens=5)

    assert run(talk()) == Reply(text="a")
    assert stayed == [True]


@pytest.mark.parametrize("rest", [b"zz\r\n", b"5\r\nab"])
def test_what_is_broken_after_done_spoils_no_answer(rest: bytes) -> None:
    stream = [OK, delta({"content": "a"}, "stop"), event(b"[DONE]"), rest]
    assert ask(Answer(stream))[0] == Reply(text="a")


@pytest.mark.parametrize(
    ("answer", "problem", "code"),
    [
        (status(424, b'{"error": "no\n  recording"}'), 'answered 424: {"error": "no recording"}', 424),
        (status(500), "answered 500: no body", 500),
        (status(429, b"x" * 5000), "answered 429: x", 429),
        (Answer([OK, event({"error": {"message": "context too long"}}), LAST]), "context too long", None),
        (Answer([OK, event({"error": 1}), LAST]), "without a message", None),
        (Answer([OK, chunk(b'error: {"code":500}\n\n'), LAST]), "in its stream", None),
        (Answer([OK, event(b"{"), LAST]), "not JSON", None),
        (Answer([OK, event(b"[" * 200_000), LAST]), "not JSON", None),
        (Answer([b"HTTP/1.1 200 OK\r\nX: " + b"x" * (3 << 20)]), "too long", None),
        (Answer([OK, delta({"content": "a"}), LAST]), "broke off", None),
        (Answer([OK, delta({"content": "a"}), b"40\r\ndata"]), "broke off", None),
        (Answer([OK, b"zz\r\n"]), "broke off", None),
        (Answer([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ndata: "]), "broke off", None),
        (Answer([b"SSH-2.0-OpenSSH\r\n"]), "does not speak", None),
        (Answer([]), "broke off", None),
    ],
)
def test_failure_is_one_error_that_says_what_happened(answer: Answer, problem: str, code: int | None) -> None:
    with pytest.raises(LlmFailed) as caught:
        ask(answer)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 400
    assert caught.value.status == code


def test_silent_model_is_given_up() -> None:
    with pytest.raises(LlmFailed, match=r"within 0\.05 s"):
        ask(Answer([OK], hang=True), timeout_s=0.05)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:{free}", "cannot be reached"),
        ("http://127.0.0.1:99999", "cannot be reached"),
        ("127.0.0.1", "names no host"),
    ],
)
def test_model_that_is_not_there_is_a_failure(url: str, problem: str) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        client = LlmClient(url=url.format(free=bound.getsockname()[1]), model="m")
        with pytest.raises(LlmFailed, match=problem):
            asyncio.run(client.chat(HELLO, max_tokens=5))


def test_equal_questions_are_equal_bytes() -> None:
    async def talk() -> tuple[list[bytes], list[bytes]]:
        async with scripted_llm(lambda _: text("a")) as llm:
            for _ in range(2):
                await LlmClient(url=llm.url + "/base/", model="m").chat(HELLO, max_tokens=5)
            return llm.heads, llm.raw_bodies

    (head, same_head), (body, same_body) = asyncio.run(talk())
    assert (head, body) == (same_head, same_body)
    assert head.startswith(b"POST /base/v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:")
    assert json.loads(body) == {
        "model": "m",
        "messages": HELLO,
        "max_tokens": 5,
        "temperature": 0,
        "seed": 7,
        "stream": True,
    }
