"""Everything gp-replay does, for programs. The command line and the pytest plugin only call this.

::

    with gp_replay.record("llm=http://127.0.0.1:8080", out="chat.gpr") as recording:
        run_my_client(recording.urls["llm"])

    async with gp_replay.replay("cassettes/chat.gpr") as replay:
        await run_my_client(replay.urls["llm"])
    assert replay.receipt.exit_code == 0
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from gp_replay.core.credentials import Credentials
from gp_replay.core.faults import edge_faults, parse_fault
from gp_replay.core.redaction import RedactionRules, secret_literals
from gp_replay.core.routing import parse_upstream
from gp_replay.core.terms import OnRepeat, Terms
from gp_replay.core.timing import Pace
from gp_replay.driving import Driven, Driving
from gp_replay.errors import CassetteExists, UsageError
from gp_replay.net.sockets import parse_address
from gp_replay.recording import Recorded, Recording
from gp_replay.replaying import Replay, ReplayNamespace
from gp_replay.run_settings import refuse_deprecated_upstreams
from gp_replay.running import Surroundings, run, run_suite
from gp_replay.runs.sources import Wishes
from gp_replay.runs.verdict import RunReport
from gp_replay.settings import load_credentials, load_redaction

__all__ = [
    "Driven",
    "Driving",
    "Recorded",
    "Recording",
    "Replay",
    "ReplayNamespace",
    "RunReport",
    "Surroundings",
    "Wishes",
    "default_redaction",
    "drive",
    "record",
    "replay",
    "run",
    "run_suite",
]

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Listen: TypeAlias = str | Sequence[str]

_MAX_PATIENCE_SECONDS = 86_400.0
"""A day: who waits longer has forgotten the replay."""


def record(
    upstream: str | Sequence[str],
    *,
    out: str | os.PathLike[str],
    mode: str = "once",
    listen: Listen = (),
    skip: Sequence[str] = (),
    keep_host: bool = False,
    redaction: RedactionRules | None = None,
    log: Callable[[str], None] | None = None,
) -> Recording:
    """Records what passes between clients and upstreams, as a context manager (``with`` or ``async with``).

    Args:
        upstream: ``[ROLE=]URL``, or several; http, https, ws, wss, with a base path if need be.
        out: the cassette to write; ``.gpr`` is added if it has no suffix.
        mode: ``once`` refuses an existing file; ``all`` makes a new revision of it; ``new-episodes`` serves what it
            holds, relays and records the rest, and makes a revision that holds both.
        listen: ``[ROLE=]HOST:PORT``, or several; default a free port on loopback.
        skip: path patterns that are relayed and not recorded.
        keep_host: leave ``Host`` as the client sends it.
        redaction: default `default_redaction`.
        log: called with a text when the disk fails while the relay goes on, and with mode ``new-episodes`` for every
            request that is new or refused; default prints it to stderr.

    Returns:
        A `Recording`. Entering it listens; leaving it saves the cassette.

    Raises:
        UsageError: an argument that cannot be meant, or a deprecated host; at once.
        CassetteExists, CassetteUnfinished: on entering, mode ``once`` with a file there, or a left-over ``.part``.
        CassetteError: on entering, when a file to replace or to add to cannot be read.
        ListenError: on entering.
        DiskFailure: on entering, or on leaving when the disk failed meanwhile.
    """
    texts = [upstream] if isinstance(upstream, str) else list(upstream)
    upstreams = [parse_upstream(text) for text in texts]
    names = [item.role for item in upstreams]
    if not names:
        raise UsageError("no upstream to record from", hint="--upstream http://127.0.0.1:8080")
    if len(set(names)) < len(names):
        raise UsageError(f"two upstreams for role {names[0]}", hint="name them: --upstream llm=URL --upstream chat=URL")
    refuse_deprecated_upstreams(upstreams, Path.cwd())
    if mode not in ("once", "all", "new-episodes"):
        hint = "once refuses an existing file, all makes a new revision, new-episodes adds what the file has not"
        raise UsageError(f"mode {mode!r}", hint=hint)
    path = Path(out)
    if not path.name:
        raise UsageError(f"out {str(out)!r} names no file", hint="like --out chat.gpr")
    path = path if path.suffix else path.with_suffix(".gpr")
    if mode == "once" and path.exists():
        raise CassetteExists(str(path))
    return Recording(
        upstreams,
        path,
        listen=[listen] if isinstance(listen, str) else list(listen),
        mode=mode,
        skip=tuple(skip),
        keep_host=keep_host,
        redaction=redaction if redaction is not None else default_redaction(),
        log=log or _to_stderr,
    )


def default_redaction() -> RedactionRules:
    """The built-in rules, what the project in this folder adds, and the values of variables whose names say secret.

    Raises:
        UsageError: the project's settings are wrong.
    """
    return load_redaction(Path.cwd(), literals=secret_literals(os.environ))


def replay(
    cassettes: Paths,
    *,
    only: Sequence[str] = (),
    listen: Listen = (),
    timing: str = "recorded",
    patience: float = 10.0,
    ids: str = "recorded",
    clock: str = "recorded",
    owners: str = "exact",
    on_repeat: str = "refuse",
    receipt: str | os.PathLike[str] | None = None,
    verify: bool = True,
    on_miss: str = "refuse",
    upstreams: Mapping[str, str] | None = None,
    faults: Sequence[str] = (),
    edge: str | None = None,
    log: Callable[[str], None] | None = None,
) -> Replay:
    """Serves cassettes, as a context manager (``with`` or ``async with``).

    No network but the listening port is used, unless ``on_miss`` says so.

    Args:
        cassettes: a file or folder, or several.
        only: roles to serve; default all.
        listen: ``[ROLE=]HOST:PORT``, or several; default a free port on loopback.
        timing: ``recorded``, ``instant``, ``scale:N`` or ``cap:SECONDS``.
        patience: seconds a conversation waits for its client beyond what was recorded, 0 to 86 400.
        ids: ``recorded``, or ``fresh``: ids that the server makes are new ones, the same for the same play.
        clock: ``recorded``, or ``rebase``: times are moved to now.
        owners: ``exact``, or ``bind``: a user nobody recorded takes a recorded one whose content matches.
        on_repeat: what a request gets whose recordings were all used: ``refuse``, ``last`` or ``cycle``.
        receipt: where to write the receipt on leaving, or None.
        verify: check the digest of each file on opening.
        on_miss: ``refuse``, or ``live``: a request or handshake that nobody recorded is relayed to its role's upstream
            and counted, and the receipt's source is ``mixed``. What belongs to another owner is refused all the same.
        upstreams: role to URL, for ``live``; default is what the role was recorded from.
        faults: ``[ROLE:]NAME[=VALUE][#N]``, each a name of `gp_replay.core.faults.KINDS`: what goes wrong, on purpose.
        edge: what stands before the servers, a name of `gp_replay.core.faults.EDGES`; None: nothing.
        log: called with a text for every refusal and everything that goes live; default prints it to stderr.

    Returns:
        A `Replay`. Entering it listens; after leaving it ``receipt`` is final.

    Raises:
        UsageError: an argument that cannot be meant.
        CassetteError: on entering; missing, corrupt, too new and unfinished are four leaves of it.
        ListenError: on entering.
        DiskFailure: on leaving, when the receipt cannot be written.
    """
    given = [cassettes] if isinstance(cassettes, str | os.PathLike) else list(cassettes)
    if not all(map(os.fspath, given)):
        raise UsageError("an empty path names no cassette", hint="like cassettes/ or cassettes/chat.gpr")
    if receipt is not None and not Path(receipt).name:
        raise UsageError(f"receipt {str(receipt)!r} names no file", hint="like --receipt receipt.json")
    if on_miss not in ("refuse", "live"):
        raise UsageError(f"on-miss {on_miss!r}", hint="refuse, or live: relayed to the role's upstream")
    if upstreams and on_miss != "live":
        raise UsageError("upstreams are for on-miss live; else nothing is relayed", hint="--on-miss live")
    return Replay(
        [Path(path) for path in given],
        only=tuple(only),
        listen=[listen] if isinstance(listen, str) else list(listen),
        terms=replace(
            _terms(timing=timing, patience=patience, ids=ids, clock=clock, owners=owners, on_repeat=on_repeat),
            faults=(*map(parse_fault, faults), *(() if edge is None else edge_faults(edge))),
        ),
        receipt_path=None if receipt is None else Path(receipt),
        verify=verify,
        live=on_miss == "live",
        upstreams={role: parse_upstream(f"{role}={url}") for role, url in (upstreams or {}).items()},
        log=log or _to_stderr,
    )


def drive(
    cassette: str | os.PathLike[str],
    *,
    against: str | Sequence[str],
    out: str | os.PathLike[str],
    servers: Sequence[str] = (),
    timing: str = "recorded",
    patience: float = 10.0,
    ids: str = "recorded",
    credentials: Credentials | None = None,
    redaction: RedactionRules | None = None,
    timeout: float = 600.0,
    listen: str = "127.0.0.1:0",
    log: Callable[[str], None] | None = None,
) -> Driving:
    """Plays the clients of a cassette against live services and records the take, as a context manager.

    ::

        with gp_replay.drive("chat.gpr", against="chat=http://127.0.0.1:8080", out="take.gpr") as driving:
            driving.run()
        assert driving.result.exit_code == 0

    A client waits for landmarks, not for a number of messages. Ids that the live service makes replace recorded ones,
    and so do whole strings that the recorded client had copied from its server.

    Args:
        cassette: what to play.
        against: ``ROLE=URL``, or several: the roles whose clients we play, and the live services.
        out: the take to write; an existing file is refused.
        servers: roles whose server we play meanwhile; ``driving.urls`` says where, before anything is driven.
        timing, patience, ids, log: as for `replay`.
        credentials: default those of the settings in this folder and of the environment.
        redaction: of the take; default `default_redaction`.
        timeout: seconds for the whole drive.
        listen: ``HOST:PORT`` for ``servers``; default a free port on loopback.

    Returns:
        A `Driving`. Entering it listens for ``servers``; `Driving.run` (or ``await drive()``) drives; leaving it saves
        the take and sets ``result``.

    Raises:
        UsageError: an argument that cannot be meant, a deprecated host, or a role the cassette does not have.
        CassetteExists: the take is there already.
        CassetteError: on entering.
    """
    texts = [against] if isinstance(against, str) else list(against)
    upstreams = {item.role: item for item in map(parse_upstream, texts)}
    if not upstreams:
        raise UsageError("nothing to drive", hint="against names a role and a live service: chat=http://127.0.0.1:8080")
    refuse_deprecated_upstreams(upstreams.values(), Path.cwd())
    both = sorted(upstreams.keys() & set(servers))
    if both:
        raise UsageError(f"role {both[0]} cannot be live and replayed at once")
    path = Path(out)
    path = path if path.suffix else path.with_suffix(".gpr")
    if path.exists():
        raise CassetteExists(str(path))
    return Driving(
        Path(cassette),
        upstreams=upstreams,
        servers=tuple(servers),
        out=path,
        terms=_terms(timing=timing, patience=patience, ids=ids),
        credentials=credentials if credentials is not None else load_credentials(Path.cwd(), os.environ),
        redaction=redaction if redaction is not None else default_redaction(),
        timeout_seconds=timeout,
        listen=parse_address(listen),
        log=log or _to_stderr,
    )


def _terms(
    *,
    timing: str,
    patience: float,
    ids: str = "recorded",
    clock: str = "recorded",
    owners: str = "exact",
    on_repeat: str = "refuse",
) -> Terms:
    if not 0 <= patience <= _MAX_PATIENCE_SECONDS:  # no number is neither
        raise UsageError(f"patience {patience:g}", hint=f"0 to {_MAX_PATIENCE_SECONDS:g} seconds")
    _one_of("ids", ids, ("recorded", "fresh"))
    _one_of("clock", clock, ("recorded", "rebase"))
    _one_of("owners", owners, ("exact", "bind"))
    _one_of("on_repeat", on_repeat, tuple(item.value for item in OnRepeat))
    return Terms(
        pace=Pace.parse(timing),
        patience_us=int(patience * 1_000_000),
        fresh_ids=ids == "fresh",
        bind_owners=owners == "bind",
        on_repeat=OnRepeat(on_repeat),
        rebase=clock == "rebase",
    )


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{name} {value!r}", hint=f"{', '.join(known[:-1])} or {known[-1]}")


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
