import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.places import Place, parse_place
from gp_replay.core.rules import Literal, Rules, Volatile
from gp_replay.errors import UsageError

TEXT = """
[[volatile]]
at = "body.metadata.trace"
role = "llm"
path = "/v1/chat/*"

[[volatile]]
at = "query.t"
"""


def rules(text: str) -> Rules:
    return Rules.from_plain(tomllib.loads(text), source="tape.toml")


def test_rules_are_read_from_toml() -> None:
    assert rules(TEXT) == Rules(
        volatile=(
            Volatile(at=("body", "metadata", "trace"), role="llm", path="/v1/chat/*"),
            Volatile(at=("query", "t")),
        )
    )
    assert rules("") == Rules()


@pytest.mark.parametrize(
    ("role", "path", "places"),
    [
        ("llm", "/v1/chat/completions", ["body.metadata.trace", "query.t"]),
        ("llm", "/v1/chat/", ["body.metadata.trace", "query.t"]),
        ("llm", "/v1/chat", ["query.t"]),
        ("llm", "/v2/v1/chat/x", ["query.t"]),
        ("chat", "/v1/chat/completions", ["query.t"]),
    ],
)
def test_a_rule_counts_for_its_role_and_path(role: str, path: str, places: list[str]) -> None:
    assert rules(TEXT).places(role, path) == tuple(parse_place(place) for place in places)


@pytest.mark.parametrize("path", ["/a.b", "/a+b", "/(a)", "/a\nb"])
def test_only_the_star_of_a_path_is_special(path: str) -> None:
    assert Volatile(at=("body",), path=path).applies("any", path)
    assert not Volatile(at=("body",), path="/a.b").applies("any", "/axb")
    assert Volatile(at=("body",), path="*").applies("any", path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("volatil = 1", "tape.toml: unknown key 'volatil'"),
        ('volatile = "query.t"', "volatile is a list of tables"),
        ("volatile = [1]", r"volatile\[0\] is not a table"),
        ('[[volatile]]\nat = "query.t"\n[[volatile]]', r"volatile\[1\]: at"),
        ("[[volatile]]\nat = 1", r"volatile\[0\]: at"),
        ('[[volatile]]\nat = "query.t"\nrole = ["a"]', r"volatile\[0\]: role"),
        ('[[volatile]]\nat = "query.t"\nwhere = "x"', r"volatile\[0\]: where"),
        ('[[volatile]]\nat = "cookies.x"', r"volatile\[0\]: 'cookies.x' does not begin with"),
    ],
)
def test_a_mistake_is_one_usage_error_that_says_where(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        rules(text)


VOLATILE = st.builds(
    Volatile,
    at=st.sampled_from([("body", "a"), ("query", "t"), ("body", 0)]),
    role=st.sampled_from(["", "llm"]),
    path=st.sampled_from(["", "/x*"]),
)


@given(
    st.lists(VOLATILE, max_size=4, unique=True).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found)))
)
def test_the_fingerprint_is_of_the_rules_and_not_of_their_order(orders: tuple[list[Volatile], list[Volatile]]) -> None:
    one, other = (Rules(volatile=tuple(order)) for order in orders)
    assert one.fingerprint == other.fingerprint
    assert len(one.fingerprint) == 8
    assert (one + Rules(volatile=(Volatile(at=("path",)),))).fingerprint != one.fingerprint


def test_rules_add_up() -> None:
    one, other = Volatile(at=("path",)), Volatile(at=("body",))
    assert Rules(volatile=(one,)) + Rules(volatile=(other,)) == Rules(volatile=(one, other))


def test_literal_places_are_read_and_counted_like_volatile_ones() -> None:
    found = rules('[[literal]]\nat = "body.order"\nrole = "shop"\npath = "/orders/*"\n')
    assert found == Rules(literal=(Literal(at=("body", "order"), role="shop", path="/orders/*"),))
    assert found.literals("shop", "/orders/new") == (("body", "order"),)
    assert found.literals("shop", "/orders") == found.literals("llm", "/orders/new") == ()
    assert found.places("shop", "/orders/new") == ()


def test_the_fingerprint_tells_literal_and_volatile_apart() -> None:
    at: Place = ("body", "order")
    kinds = [Rules(), Rules(volatile=(Volatile(at=at),)), Rules(literal=(Literal(at=at),))]
    kinds.append(kinds[1] + kinds[2])
    assert len({kind.fingerprint for kind in kinds}) == 4
