"""The decision table: every flag, every contradiction, and the rules that hold for any combination of flags."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.errors import UsageError
from gp_replay.runs.sources import Ask, Chosen, Nobody, Probe, Source, Wishes, decide, plan_of

DOCKER, STAGING, CASSETTE = Source.DOCKER, Source.STAGING, Source.CASSETTE

TABLE: list[tuple[dict[str, Any], tuple[Source, ...], str]] = [
    # flags, order of sources, what decided
    ({}, (DOCKER,), "--source auto"),
    ({"source": "auto"}, (DOCKER,), "--source auto"),
    ({"source": "docker"}, (DOCKER,), "--source docker"),
    ({"source": "staging"}, (STAGING,), "--source staging"),
    ({"source": "cassette"}, (CASSETTE,), "--source cassette"),
    ({"execution_mode": "fast_feedback"}, (CASSETTE,), "--execution-mode fast_feedback"),
    ({"execution_mode": "nightly"}, (DOCKER,), "--execution-mode nightly"),
    ({"docker_bypass": True}, (STAGING,), "--docker-bypass"),
    ({"staging_e2e": True}, (STAGING,), "--staging-e2e"),
    ({"no_docker": True}, (CASSETTE,), "--no-docker"),
    ({"real_services": True}, (DOCKER,), "--source auto"),
    ({"real_services": True, "no_docker": True}, (STAGING,), "--no-docker --real-services"),
    ({"real_services": True, "docker_bypass": True}, (STAGING,), "--docker-bypass"),
    ({"real_services": True, "execution_mode": "nightly"}, (DOCKER,), "--execution-mode nightly"),
    ({"real_services": True, "staging_e2e": True}, (STAGING,), "--staging-e2e"),
    ({"docker_bypass": True, "staging_e2e": True}, (STAGING,), "--docker-bypass"),
    ({"docker_bypass": True, "no_docker": True}, (STAGING,), "--docker-bypass"),
    ({"source": "staging", "no_docker": True}, (STAGING,), "--source staging"),
    ({"source": "cassette", "no_docker": True}, (CASSETTE,), "--source cassette"),
    ({"source": "cassette", "execution_mode": "fast_feedback"}, (CASSETTE,), "--source cassette"),
    ({"source": "docker", "execution_mode": "nightly"}, (DOCKER,), "--source docker"),
    ({"no_docker": True, "execution_mode": "fast_feedback"}, (CASSETTE,), "--execution-mode fast_feedback"),
    ({"fallback": ("staging", "cassette")}, (DOCKER, STAGING, CASSETTE), "--source auto"),
    ({"fallback": ("cassette", "staging")}, (DOCKER, CASSETTE, STAGING), "--source auto"),
    ({"fallback": ("cassette",)}, (DOCKER, CASSETTE), "--source auto"),
    ({"source": "docker", "fallback": ("staging",)}, (DOCKER, STAGING), "--source docker"),
    ({"source": "staging", "fallback": ("cassette",)}, (STAGING, CASSETTE), "--source staging"),
    ({"docker_bypass": True, "fallback": ("cassette",)}, (STAGING, CASSETTE), "--docker-bypass"),
    ({"execution_mode": "nightly", "fallback": ("staging",)}, (DOCKER, STAGING), "--execution-mode nightly"),
    ({"real_services": True, "fallback": ("staging",)}, (DOCKER, STAGING), "--source auto"),
]

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"execution_mode": "fast_feedback", "real_services": True}, "fast_feedback contradicts --real-services"),
    ({"source": "cassette", "real_services": True}, "--source cassette contradicts --real-services"),
    ({"source": "cassette", "execution_mode": "nightly"}, "--source cassette contradicts --execution-mode nightly"),
    ({"source": "cassette", "docker_bypass": True}, "--source cassette contradicts --docker-bypass"),
    ({"source": "cassette", "staging_e2e": True}, "--source cassette contradicts --staging-e2e"),
    ({"source": "docker", "no_docker": True}, "--source docker contradicts --no-docker"),
    ({"source": "docker", "docker_bypass": True}, "--source docker contradicts --docker-bypass"),
    ({"source": "docker", "staging_e2e": True}, "--source docker contradicts --staging-e2e"),
    ({"source": "docker", "execution_mode": "fast_feedback"}, "--source docker contradicts --execution-mode"),
    ({"source": "staging", "execution_mode": "fast_feedback"}, "--source staging contradicts --execution-mode"),
    ({"source": "staging", "execution_mode": "nightly"}, "--source staging contradicts --execution-mode nightly"),
    ({"execution_mode": "nightly", "no_docker": True}, "nightly contradicts --no-docker"),
    ({"execution_mode": "nightly", "docker_bypass": True}, "nightly contradicts --docker-bypass"),
    ({"execution_mode": "nightly", "staging_e2e": True}, "nightly contradicts --staging-e2e"),
    ({"execution_mode": "fast_feedback", "docker_bypass": True}, "fast_feedback contradicts --docker-bypass"),
    ({"execution_mode": "fast_feedback", "staging_e2e": True}, "fast_feedback contradicts --staging-e2e"),
    ({"fallback": ("cassette",), "real_services": True}, "--fallback cassette contradicts --real-services"),
    ({"fallback": ("cassette",), "execution_mode": "nightly"}, "--fallback cassette contradicts --execution-mode"),
    ({"fallback": ("cassette",), "staging_e2e": True}, "--fallback cassette contradicts --staging-e2e"),
    ({"fallback": ("staging",), "staging_e2e": True}, "staging is tried already"),
    ({"fallback": ("staging",), "docker_bypass": True}, "staging is tried already"),
    ({"fallback": ("cassette", "cassette")}, "cassette is tried already"),
    ({"fallback": ("staging",), "no_docker": True}, "--fallback contradicts --no-docker"),
    ({"fallback": ("staging",), "source": "cassette"}, "--fallback contradicts --source cassette"),
    ({"fallback": ("staging",), "execution_mode": "fast_feedback"}, "--fallback contradicts --execution-mode"),
    ({"fallback": ("docker",), "source": "staging"}, "--fallback 'docker'"),
    ({"fallback": ("",)}, "--fallback ''"),
    ({"source": "prod"}, "--source 'prod'"),
    ({"execution_mode": "hybrid"}, "--execution-mode 'hybrid'"),
]


@pytest.mark.parametrize(("flags", "order", "because"), TABLE, ids=[str(flags) for flags, _, _ in TABLE])
def test_flags_mean_these_sources_in_this_order(flags: dict[str, Any], order: tuple[Source, ...], because: str) -> None:
    plan = plan_of(Wishes(**flags))
    assert (plan.order, plan.because) == (order, because)
    assert plan.nightly == (flags.get("execution_mode") == "nightly")


@pytest.mark.parametrize(("flags", "words"), CONTRADICTIONS, ids=[str(flags) for flags, _ in CONTRADICTIONS])
def test_contradictions_are_usage_errors_that_name_both_flags(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan_of(Wishes(**flags))
    assert words in str(raised.value)
    assert raised.value.hint


def test_fast_feedback_has_two_minutes_and_does_not_wait() -> None:
    fast, other = plan_of(Wishes(execution_mode="fast_feedback")), plan_of(Wishes())
    assert (fast.limit_seconds, fast.instant) == (120, True)
    assert (other.limit_seconds, other.instant) == (3600, False)


UP, DOWN = "", "down"


@pytest.mark.parametrize(
    ("flags", "found", "decision"),
    [
        ({}, [], Ask(source=DOCKER)),
        ({}, [(DOCKER, UP)], Chosen(source=DOCKER, passed_over=())),
        ({"docker_bypass": True}, [], Ask(source=STAGING)),
        ({"no_docker": True}, [], Chosen(source=CASSETTE, passed_over=())),
        ({"execution_mode": "fast_feedback"}, [], Chosen(source=CASSETTE, passed_over=())),
        ({"fallback": ("staging", "cassette")}, [(DOCKER, DOWN)], Ask(source=STAGING)),
        (
            {"fallback": ("staging", "cassette")},
            [(DOCKER, DOWN), (STAGING, UP)],
            Chosen(source=STAGING, passed_over=(Probe(source=DOCKER, problem=DOWN),)),
        ),
        (
            {"fallback": ("cassette",)},
            [(DOCKER, DOWN)],
            Chosen(source=CASSETTE, passed_over=(Probe(source=DOCKER, problem=DOWN),)),
        ),
    ],
)
def test_what_probes_find_decides(flags: dict[str, Any], found: list[tuple[Source, str]], decision: object) -> None:
    probes = [Probe(source=source, problem=problem) for source, problem in found]
    assert decide(plan_of(Wishes(**flags)), probes) == decision


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        ({}, "--fallback staging,cassette"),
        ({"real_services": True}, "--fallback staging"),
        ({"fallback": ("staging",)}, "--fallback staging,cassette"),
        ({"docker_bypass": True}, "--fallback cassette"),
        ({"staging_e2e": True}, "--staging-e2e forbids any other source"),
        ({"no_docker": True, "real_services": True}, "--no-docker and --real-services forbid any other source"),
    ],
)
def test_where_nobody_is_there_the_hint_names_the_flag_that_falls_back(flags: dict[str, Any], hint: str) -> None:
    plan = plan_of(Wishes(**flags))
    decision = decide(plan, [Probe(source=source, problem=DOWN) for source in plan.order])
    assert isinstance(decision, Nobody)
    assert decision.hint.endswith(hint)


wishes = st.builds(
    Wishes,
    source=st.sampled_from(["auto", *Source]),
    execution_mode=st.sampled_from([None, "fast_feedback", "nightly"]),
    docker_bypass=st.booleans(),
    staging_e2e=st.booleans(),
    no_docker=st.booleans(),
    real_services=st.booleans(),
    fallback=st.lists(st.sampled_from(["staging", "cassette"]), max_size=2).map(tuple),
)


@given(wishes, st.data())
def test_no_flags_and_no_luck_bring_a_source_that_was_not_allowed(wish: Wishes, data: st.DataObject) -> None:
    try:
        plan = plan_of(wish)
    except UsageError:
        return
    probes: list[Probe] = []
    decision = decide(plan, probes)
    while isinstance(decision, Ask):
        assert not (decision.source is DOCKER and (wish.docker_bypass or wish.no_docker or wish.staging_e2e))
        probes.append(Probe(source=decision.source, problem=data.draw(st.sampled_from([UP, DOWN]))))
        decision = decide(plan, probes)
    if isinstance(decision, Nobody):
        assert [probe.source for probe in decision.passed_over] == list(plan.order)
        return
    assert isinstance(decision, Chosen)
    if wish.real_services or wish.execution_mode == "nightly" or wish.staging_e2e:
        assert decision.source is not CASSETTE
    if decision.passed_over:
        assert decision.source in wish.fallback
    if decision.source is CASSETTE and wish.source != "cassette" and wish.execution_mode != "fast_feedback":
        assert wish.no_docker or "cassette" in wish.fallback
