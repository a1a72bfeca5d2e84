"""Contracts as TOML: what they may say, and the one line that says what is wrong with one."""

from __future__ import annotations

import tomllib

import pytest

from gp_replay.contracts.contract import Contract, Rule
from gp_replay.contracts.contract_reading import contract_from
from gp_replay.contracts.findings import Level
from gp_replay.core.model import Side
from gp_replay.errors import UsageError

ORDERS = """
name = "orders"
type = "event|type"
envelopes = ["flat", "detail.body"]
[fields]
order = "order_id|order.id"
method = "method"
by = "clerk"
[events.placed]
in_run = true
error = ["order_id", "total|sum unless reason|why.text"]
optional = ["note"]
[events.paid]
types = ["paid", "settled"]
in_run = true
[events.asked]
from = "client"
[events.beat]
ambient = true
"""
RUN = """
[run]
key = "order"
by = "by"
opens = "placed"
closes = "paid"
asks = ["asked"]
"""


def read(text: str) -> Contract:
    return contract_from(tomllib.loads(text), source="orders.toml")


def test_a_contract_is_read() -> None:
    contract = read(ORDERS + RUN + '[[rules]]\nevent = "placed"\nper = "order"\nat_most = 1\nlevel = "warning"\n')
    assert contract.type_names == ("event", "type")
    assert contract.envelopes == ((), ("detail", "body"))
    assert contract.fields["order"].paths == (("order_id",), ("order", "id"))
    placed, paid, asked, beat = contract.events
    assert [(want.field.name, want.level, want.unless) for want in placed.wanted] == [
        ("order_id", Level.ERROR, ()),
        ("total|sum", Level.ERROR, (("reason",), ("why", "text"))),
        ("note", None, ()),
    ]
    assert (paid.types, asked.side, beat.ambient) == (("paid", "settled"), Side.CLIENT, True)
    assert contract.rules == (Rule(event="placed", per="order", at_most=1, level=Level.WARNING),)
    assert contract.runs is not None
    assert (contract.runs.opens, contract.runs.closes, contract.runs.asks) == ("placed", "paid", frozenset({"asked"}))
    assert contract.handshake is None
    assert contract.isolation is None


def rule(text: str) -> str:
    return ORDERS + RUN + "[[rules]]\n" + text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "orders.toml: name is missing"),
        ('name = "x"', "orders.toml: there are no events"),
        (ORDERS.replace('name = "orders"', ""), "orders.toml: name is missing"),
        (ORDERS + "[colours]\n", "orders.toml: colours is not known"),
        (ORDERS + "[events.x]\nside = 1\n", "orders.toml: events.x.side is not known"),
        (ORDERS + '[events.x]\nfrom = "moon"\n', "orders.toml: events.x.from is 'moon'"),
        (ORDERS + '[events.x]\ntypes = ["settled"]\n', "orders.toml: events.x has type 'settled', which is paid's"),
        (ORDERS + '[events.x]\nerror = ["a..b"]\n', "orders.toml: events.x.error has 'a..b'"),
        (ORDERS + '[events.x]\nerror = "a"\n', "orders.toml: events.x.error is 'a'"),
        (ORDERS, "orders.toml: events.placed.in_run needs a run"),
        (ORDERS + RUN.replace('"placed"', '"plaecd"'), "orders.toml: run.opens names the unknown event 'plaecd'"),
        (ORDERS + RUN.replace('"placed"', '"beat"'), "orders.toml: run.opens is 'beat', which belongs to no run"),
        (ORDERS + RUN.replace('"order"', '"oder"'), "orders.toml: run.key names the unknown field 'oder'"),
        (ORDERS + RUN + 'same = ["x"]\n', "orders.toml: run.same names the unknown field 'x'"),
        (rule('event = "x"\nfirst = true\n'), "orders.toml: rules[0].event names the unknown event 'x'"),
        (rule('event = "paid"\nper = "x"\n'), "orders.toml: rules[0].per is 'x'"),
        (rule('event = "paid"\n'), "orders.toml: rules[0] says nothing about paid"),
        (rule('event = "paid"\nat_least = -1\n'), "orders.toml: rules[0].at_least is -1"),
        (rule('event = "paid"\nlast = 1\n'), "orders.toml: rules[0].last is 1"),
        (rule('event = "paid"\nlast = true\nlevel = "bad"\n'), "orders.toml: rules[0].level is 'bad'"),
        (
            rule('event = "paid"\nafter = ["placed"]\nbefore = ["placed"]\n'),
            "orders.toml: rules[0].after names placed, so it can never hold",
        ),
        (rule('event = "paid"\nafter = ["paid"]\n'), "orders.toml: rules[0].after names paid, so it can never hold"),
        (
            rule('event = "paid"\nat_least = 2\nat_most = 1\n'),
            "orders.toml: rules: paid per connection: at_least 2 is over at_most 1",
        ),
        (
            rule('event = "paid"\nat_least = 1\n[[rules]]\nevent = "paid"\nat_most = 0\n'),
            "orders.toml: rules: paid per connection is required and forbidden",
        ),
        (
            rule('event = "paid"\nfirst = true\n[[rules]]\nevent = "placed"\nfirst = true\n'),
            "orders.toml: rules: placed per connection is first, and so is paid",
        ),
        (
            rule('event = "paid"\nafter = ["placed"]\nat_least = 1\n[[rules]]\nevent = "placed"\nat_most = 0\n'),
            "orders.toml: rules: paid per connection is required after placed, which is forbidden",
        ),
        (
            ORDERS + RUN + '[[pairings]]\nopens = "placed"\ncloses = "pade"\nkey = "order"\nname = "method"\n',
            "orders.toml: pairings[0].closes names the unknown event 'pade'",
        ),
        (
            ORDERS + RUN + '[[pairings]]\nopens = "paid"\ncloses = "paid"\nkey = "order"\nname = "method"\n',
            "orders.toml: pairings[0].closes is 'paid', as opens",
        ),
        (ORDERS + RUN + '[limits.x]\nend = "run"\nseconds = -1\n', "orders.toml: limits.x.seconds is -1"),
        (ORDERS + RUN + '[limits.x]\nend = "run"\n', "orders.toml: limits.x.seconds is missing"),
        (ORDERS + RUN + '[limits.x]\nend = "paid"\nseconds = 1\n', "orders.toml: limits.x.start is ''"),
        (
            ORDERS + RUN + '[limits.x]\nstart = "opend"\nend = "paid"\nseconds = 1\n',
            "orders.toml: limits.x.start names the unknown event 'opend'",
        ),
        (ORDERS + RUN + '[handshake]\nwelcome = "hi"\n', "orders.toml: handshake.welcome names the unknown event 'hi'"),
        (
            ORDERS + RUN + '[isolation]\nowner = "by"\nown = ["a_id"]\ncommon = ["a_id"]\n',
            "orders.toml: isolation.common names a_id, as own",
        ),
        (ORDERS + RUN + '[shapes]\nalias = "maybe"\n', "orders.toml: shapes.alias is 'maybe'"),
        ("name = 'x'\nevents = 1\n", "orders.toml: events is no table"),
        ("name = 'x'\nevents.a = 1\n", "orders.toml: events.a is no table"),
    ],
)
def test_a_contract_that_cannot_be_meant_is_refused_in_one_line(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as error:
        read(text)
    assert str(error.value) == problem
    assert error.value.hint
    assert "\n" not in str(error.value) + error.value.hint
    assert error.value.exit_code == 2
