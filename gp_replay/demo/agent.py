"""A small agent service: WebSocket chat in front, an OpenAI-compatible model behind, two tools between.

``python -m gp_replay.demo.agent --listen HOST:PORT --llm URL`` prints its URL and serves ``/ws`` until it is stopped.

On the socket: ``connection_established`` first; then, for every ``user_message``, ``chat`` or ``start_agent``, one run:
``agent_started``, ``agent_thinking`` while the model streams, ``tool_executing`` and ``tool_completed`` for each call,
``agent_completed``. ``ping`` is answered with ``pong``, what is not understood with ``error_message``; neither ends the
connection. Messages are worked off in order. All a conversation knows belongs to its connection.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from gp_replay.demo.conversation import Conversation, JsonObject
from gp_replay.demo.llm import LlmClient
from gp_replay.demo.tokens import AUTH_SUBPROTOCOL, DEMO_SECRET, TokenRefused, check_token, find_token
from gp_replay.errors import GpReplayError, ListenError
from gp_replay.net.sockets import parse_address

__all__ = ["DEFAULT_MODEL", "Agent", "main", "serve_agent"]

DEFAULT_MODEL = "smollm2-135m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A running agent service. ``url`` is ``http://host:port``; it serves ``/ws``."""

    url: str


@contextlib.asynccontextmanager
async def serve_agent(
    *,
    llm_url: str,
    host: str = "127.0.0.1",
    port: int = 0,
    secret: str = DEMO_SECRET,
    model: str = DEFAULT_MODEL,
    clock: Callable[[], float] = time.time,
) -> AsyncGenerator[Agent]:
    """Serve the agent while the block runs; leaving it closes every connection with 1001.

    Args:
        llm_url: base of the model's API; ``/v1/chat/completions`` is added.
        host: address to listen on.
        port: 0 takes a free one.
        secret: signs the users' tokens.
        model: name the model is asked for by.
        clock: seconds since 1970, tells whether a token has expired.

    Raises:
        ListenError: the address cannot be had.
    """
    llm = LlmClient(url=llm_url, model=model)

    def admit(connection: ServerConnection, request: Request) -> Response | None:
        if request.path.partition("?")[0] != "/ws":
            return connection.respond(HTTPStatus.NOT_FOUND, "there is only /ws here\n")
        authorization = ",".join(request.headers.get_all("Authorization"))
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        try:
            connection.username = check_token(find_token(authorization, offered), secret, now=int(clock()))
        except TokenRefused as refused:
            response = connection.respond(HTTPStatus.UNAUTHORIZED, f"{refused}\n")
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        return None

    async def converse(connection: ServerConnection) -> None:
        await _while_open(connection, _converse(connection, llm))

    try:
        server = await serve(converse, host, port, process_request=admit, select_subprotocol=_choose)
    except (OSError, OverflowError) as problem:
        raise ListenError(f"cannot listen on {host}:{port}: {problem}", hint="port 0 takes a free one") from problem
    async with server:
        at_host, at_port = next(iter(server.sockets)).getsockname()[:2]
        yield Agent(url=f"http://[{at_host}]:{at_port}" if ":" in at_host else f"http://{at_host}:{at_port}")


def _choose(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The scheme, if it was offered: a client aborts when it gets a subprotocol it did not offer (RFC 6455 4.1)."""
    return Subprotocol(AUTH_SUBPROTOCOL) if AUTH_SUBPROTOCOL in offered else None


async def _converse(connection: ServerConnection, llm: LlmClient) -> None:
    async def send(event: JsonObject) -> None:
        await connection.send(json.dumps(event, separators=(",", ":")))

    conversation = Conversation(user_id=connection.username, llm=llm, send=send)
    await conversation.welcome()
    async for raw in connection:
        await conversation.receive(raw)


async def _while_open(connection: ServerConnection, work: Coroutine[None, None, None]) -> None:
    """Do the work, but stop when the client is gone: nobody waits for the model any more."""
    tasks = asyncio.create_task(work), asyncio.create_task(connection.wait_closed())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
            raise outcome


async def _serve_until_stopped(options: argparse.Namespace) -> None:
    host, port = parse_address(options.listen)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: the default handling ends the process
            loop.add_signal_handler(number, stopped.set)
    async with serve_agent(
        llm_url=options.llm, host=host, port=port, secret=options.secret, model=options.model
    ) as agent:
        print(agent.url, flush=True)
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the agent until SIGINT or SIGTERM. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gp_replay.demo.agent", description="the demo's agent service")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="port 0 takes a free one")
    parser.add_argument("--llm", required=True, metavar="URL", help="base of an OpenAI-compatible API, without /v1")
    parser.add_argument("--secret", default=DEMO_SECRET, help="key of the users' tokens")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name the model is asked for by")
    try:
        asyncio.run(_serve_until_stopped(parser.parse_args(arguments)))
    except GpReplayError as problem:
        print(f"error: {problem}", file=sys.stderr)
        if problem.hint:
            print(f"\nhint: {problem.hint}", file=sys.stderr)
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
