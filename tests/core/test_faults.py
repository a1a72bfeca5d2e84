"""Faults by name: what people may ask for, and what is refused with the names that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gp_replay.core.faulting import TRANSFORMS
from gp_replay.core.faults import EDGES, KINDS, Value, edge_faults, parse_fault
from gp_replay.errors import UsageError


@pytest.mark.parametrize(
    ("text", "role", "name", "amount", "nth"),
    [
        ("welcome-late", None, "welcome-late", 3_000_000, None),
        ("welcome-late=0.5", None, "welcome-late", 500_000, None),
        ("chat:welcome-held=2#3", "chat", "welcome-held", 2_000_000, 3),
        ("no-welcome-1011", None, "no-welcome-1011", 63_000, None),
        ("refused-upgrade", None, "refused-upgrade", 403, None),
        ("refused-upgrade=503#1", None, "refused-upgrade", 503, 1),
        ("llm:http=429#1", "llm", "http", 429, 1),
        ("my.llm_2:cut=0", "my.llm_2", "cut", 0, None),
        ("llm:delay=1.25", "llm", "delay", 1_250_000, None),
        ("close-1011-mid-run", None, "close-1011-mid-run", None, None),
        ("double-welcome", None, "double-welcome", None, None),
    ],
)
def test_a_fault_is_a_role_a_name_a_value_and_a_number(
    text: str, role: str | None, name: str, amount: int | None, nth: int | None
) -> None:
    fault = parse_fault(text)
    assert (fault.role, fault.kind.name, fault.amount, fault.nth, fault.text) == (role, name, amount, nth, text)


@pytest.mark.parametrize("text", ["", "welcome", "llm", "llm:", "http:429", "a b:http=429", "http=429#", "#1", "é"])
def test_a_name_that_is_none_is_answered_with_all_there_are(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_fault(text)
    assert all(kind.usage in error.value.hint for kind in KINDS.values())


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("llm:http", "http=STATUS: an error"),
        ("llm:http=", "http=STATUS: an error"),
        ("llm:http=200", "from 400 to 599"),
        ("llm:http=4.5", "from 400 to 599"),
        ("cut=-1", "cut=N, a number from 0"),
        ("delay=nan", "seconds from 0"),
        ("delay=inf", "seconds from 0"),
        ("double-welcome=2", "double-welcome: the welcome comes twice"),
        ("welcome-late=", "welcome-late[=SECONDS]"),
        ("llm:http=429#0", "#1"),
        ("subprotocol-not-offered=a,b", "subprotocol-not-offered[=NAME]"),
    ],
)
def test_a_value_that_cannot_be_is_answered_with_what_can(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_fault(text)
    assert hint in error.value.hint


def test_every_name_has_its_transformation_and_every_default_is_a_value() -> None:
    assert TRANSFORMS.keys() == KINDS.keys()
    for kind in KINDS.values():
        assert parse_fault(kind.name if kind.default is not None else f"{kind.name}=429").kind is kind
        assert (kind.default is None) <= (kind.value is not Value.NONE)


def test_an_edge_is_faults_that_need_not_happen() -> None:
    for name, texts in EDGES.items():
        faults = edge_faults(name)
        assert tuple(fault.text for fault in faults) == texts
        assert all(fault.edge for fault in faults)
    with pytest.raises(UsageError, match="edge 'cloudrun'") as error:
        edge_faults("cloudrun")
    assert "cloud-run" in error.value.hint


def test_the_readme_names_every_fault_and_those_that_spoil() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for kind in KINDS.values():
        usage = kind.usage if kind.name != "subprotocol-not-offered" else kind.name
        assert f"| `{usage}` {'*' if kind.spoils or kind.name == 'age-cut' else ' '}" in readme, usage
