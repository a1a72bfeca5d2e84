"""Which source answers in a run: a table of flags, and the decision, step by step, over what probes found.

Every flag may ask for a source and forbid others. Two that ask for different ones, or one that asks for what another
forbids, contradict each other. Where none asks, the first that is not forbidden of docker, cassette, staging is meant:
so ``--no-docker`` alone means cassettes, and with ``--real-services`` staging. Falling back is only ever to what
``--fallback`` names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from gp_replay.errors import UsageError

__all__ = ["Ask", "Chosen", "Decision", "Nobody", "Plan", "Probe", "Source", "Wishes", "decide", "plan_of"]


class Source(StrEnum):
    """Who may answer in a run. Docker and staging are environments of the settings, and live."""

    DOCKER = "docker"
    STAGING = "staging"
    CASSETTE = "cassette"

    @property
    def live(self) -> bool:
        """Whether real services answer."""
        return self is not Source.CASSETTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the flags of ``gp-replay run`` say; the attributes have their names."""

    source: str = "auto"
    execution_mode: str | None = None
    docker_bypass: bool = False
    staging_e2e: bool = False
    no_docker: bool = False
    real_services: bool = False
    fallback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the flags come to.

    Attributes:
        order: the source that is meant, then those to fall back to.
        because: what decided on the first.
        forbidden: sources that must not answer, for any role, with the flag that says so.
        limit_seconds: for the command.
        instant: cassettes are played without waiting.
        nightly: a run that is to be compared with the cassettes.
    """

    order: tuple[Source, ...]
    because: str
    forbidden: Mapping[Source, str]
    limit_seconds: float
    instant: bool = False
    nightly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a look at a source found; ``problem`` is "" where it can be used."""

    source: Source
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Look at this source."""

    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """This source answers; ``passed_over`` were not there."""

    source: Source
    passed_over: tuple[Probe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nobody:
    """No source is there; ``hint`` names the flag that would fall back."""

    passed_over: tuple[Probe, ...]
    hint: str


Decision: TypeAlias = Ask | Chosen | Nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flag:
    text: str
    asks: Source | None = None
    forbids: tuple[Source, ...] = ()


_SOURCE_FLAGS = {source.value: _Flag(text=f"--source {source}", asks=source) for source in (*Source,)}
_MODE_FLAGS = {
    "fast_feedback": _Flag(text="--execution-mode fast_feedback", asks=Source.CASSETTE),
    "nightly": _Flag(text="--execution-mode nightly", asks=Source.DOCKER, forbids=(Source.CASSETTE,)),
}
_SWITCHES = {
    "docker_bypass": _Flag(text="--docker-bypass", asks=Source.STAGING, forbids=(Source.DOCKER,)),
    "staging_e2e": _Flag(text="--staging-e2e", asks=Source.STAGING, forbids=(Source.DOCKER, Source.CASSETTE)),
    "no_docker": _Flag(text="--no-docker", forbids=(Source.DOCKER,)),
    "real_services": _Flag(text="--real-services", forbids=(Source.CASSETTE,)),
}
_UNASKED = (Source.DOCKER, Source.CASSETTE, Source.STAGING)
_FALLBACKS = (Source.STAGING, Source.CASSETTE)

_FAST_SECONDS = 120.0
"""The layer of fast feedback ends after two minutes."""

_LONGEST_SECONDS = 3600.0
"""The longest layer of a test run has an hour; a command that takes longer hangs."""


def plan_of(wishes: Wishes) -> Plan:
    """What the flags come to.

    Raises:
        UsageError: an unknown word, or flags that contradict each other; it names both.
    """
    flags = _flags(wishes)
    forbidden: dict[Source, str] = {}
    for flag in flags:
        for source in flag.forbids:
            forbidden.setdefault(source, flag.text)
    first, because = _first(flags, forbidden)
    return Plan(
        order=(first, *_fallback(wishes.fallback, first=first, because=because, forbidden=forbidden)),
        because=because,
        forbidden=forbidden,
        limit_seconds=_FAST_SECONDS if wishes.execution_mode == "fast_feedback" else _LONGEST_SECONDS,
        instant=wishes.execution_mode == "fast_feedback",
        nightly=wishes.execution_mode == "nightly",
    )


def _flags(wishes: Wishes) -> list[_Flag]:
    flags = [flag for name, flag in _SWITCHES.items() if getattr(wishes, name)]
    if wishes.execution_mode is not None:
        if wishes.execution_mode not in _MODE_FLAGS:
            raise UsageError(f"--execution-mode {wishes.execution_mode!r}", hint=" or ".join(_MODE_FLAGS))
        flags.insert(0, _MODE_FLAGS[wishes.execution_mode])
    if wishes.source != "auto":
        if wishes.source not in _SOURCE_FLAGS:
            raise UsageError(f"--source {wishes.source!r}", hint=f"auto, {', '.join(_SOURCE_FLAGS)}")
        flags.insert(0, _SOURCE_FLAGS[wishes.source])
    return flags


def _first(flags: Sequence[_Flag], forbidden: Mapping[Source, str]) -> tuple[Source, str]:
    asking = [(flag.asks, flag.text) for flag in flags if flag.asks is not None]
    for source, text in asking:
        if source is not asking[0][0]:
            raise UsageError(f"{asking[0][1]} contradicts {text}", hint=f"{asking[0][0]} or {source}?")
        if source in forbidden:
            raise UsageError(
                f"{text} contradicts {forbidden[source]}", hint=f"the one needs {source}, the other forbids it"
            )
    if asking:
        return asking[0]
    first = next(source for source in _UNASKED if source not in forbidden)
    over = [forbidden[source] for source in _UNASKED[: _UNASKED.index(first)]]
    return first, " ".join(over) or "--source auto"


def _fallback(
    names: Sequence[str], *, first: Source, because: str, forbidden: Mapping[Source, str]
) -> tuple[Source, ...]:
    if names and first is Source.CASSETTE:
        raise UsageError(
            f"--fallback contradicts {because}", hint="cassettes are always there: nothing to fall back from"
        )
    found: list[Source] = []
    for name in names:
        if name not in _FALLBACKS:
            raise UsageError(f"--fallback {name!r}", hint="staging, cassette, or staging,cassette")
        source = Source(name)
        if source in forbidden:
            raise UsageError(f"--fallback {name} contradicts {forbidden[source]}", hint=f"it forbids {name}")
        if source is first or source in found:
            raise UsageError(f"--fallback {name}: {name} is tried already", hint="name each source once")
        found.append(source)
    return tuple(found)


def decide(plan: Plan, probes: Sequence[Probe]) -> Decision:
    """The next step: look at a source, take one, or give up.

    Args:
        plan: from `plan_of`.
        probes: what was found so far, in the order of the plan. Cassettes are not looked at: a cassette that cannot be
            read is an error of its own.
    """
    over = tuple(probe for probe in probes if probe.problem)
    if len(over) < len(probes):
        return Chosen(source=probes[len(over)].source, passed_over=over)
    if len(over) == len(plan.order):
        return Nobody(passed_over=over, hint=_hint(plan))
    source = plan.order[len(over)]
    return Ask(source=source) if source.live else Chosen(source=source, passed_over=over)


def _hint(plan: Plan) -> str:
    left = [item for item in _FALLBACKS if item not in plan.order and item not in plan.forbidden]
    if left:
        names = ",".join([*plan.order[1:], *left])
        return f"start it, or allow another source: --fallback {names}"
    flags = " and ".join(dict.fromkeys(plan.forbidden.values()))
    return (
        f"start it; {flags} forbid{'' if ' and ' in flags else 's'} any other source" if flags else "start one of them"
    )
