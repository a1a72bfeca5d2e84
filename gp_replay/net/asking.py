"""A live request as the player takes it, and the answer when no recording has one."""

from __future__ import annotations

import json

from gp_replay.core.explain import Request
from gp_replay.core.http1 import RequestLine, is_websocket_upgrade
from gp_replay.core.identity import owner_of
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Protocol, RequestHead, Side, header_value
from gp_replay.core.render import problem_answer
from gp_replay.core.routing import requested_hosts, split_role
from gp_replay.net.stage import Stage

__all__ = ["miss_answer", "request_of"]


def request_of(
    line: RequestLine, body: bytes, *, target: bytes, namespace: str | None, role: str | None, stage: Stage
) -> Request:
    """What ``stage`` is asked.

    Args:
        line: as the client sent it.
        body: joined.
        target: in origin form, without a namespace.
        namespace: that the path named.
        role: of the listener, or None where the path names it.
        stage: knows the roles.
    """
    base = (header_value(line.headers, b"host") or b"").decode("latin-1")
    if base and namespace is not None:
        base += f"/~{namespace}"
    if role is None:
        role, target = split_role(target, stage.roles)
        if base and role is not None:
            base += f"/{role}"
    head = RequestHead(
        at_us=0,
        stream=1,
        side=Side.CLIENT,
        method=line.method,
        target=target,
        version=line.version,
        headers=line.headers,
    )
    return Request(
        protocol=Protocol.WEBSOCKET if is_websocket_upgrade(line.headers) else Protocol.HTTP,
        role=role,
        head=head,
        body=body,
        owner=owner_of(head),
        hosts=tuple(requested_hosts(line.headers)),
        base=base,
    )


def miss_answer(refusal: Refusal, method: bytes, *, close: bool) -> bytes:
    """The whole answer to a request that is refused before 101."""
    problem = {"error": {"type": "gp_replay_miss", "message": refusal.reason, **refusal.plain()}}
    body = json.dumps(problem).encode() + b"\n"
    answer = problem_answer(424, body, served_by="miss", close=close)
    # The answer to a HEAD has no body, or the next answer on this connection would begin with it.
    return answer[: -len(body)] if method == b"HEAD" else answer
