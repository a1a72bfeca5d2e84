from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.demo.tools import TOOLS, ToolResult, calculate, cost_lookup, parameters_of, run_tool


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("4120 * 12", 49440),
        (" 1 + 2 * 3 ", 7),
        ("(1 + 2) * 3", 9),
        ("-2 ** 2", -4),
        ("7 // 2 + 7 % 2", 4),
        ("1 / 3", 0.333333),
        ("6 / 3", 2),
        ("2 ** 0.5", 1.414214),
        ("2 ** -1", 0.5),
        ("+.5", 0.5),
    ],
)
def test_expression_is_worked_out(expression: str, value: float) -> None:
    result = calculate(expression)
    assert result == value
    assert isinstance(result, int) == isinstance(value, int)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "not an"),
        ("compute", "not an"),
        ("__import__('os')", "not an"),
        ("1 +", "not an"),
        ("2(3)", "not an"),
        ("(1 for x in 2)", "not an"),
        ("1j", "not an"),
        ("1 < 2", "not an"),
        ("(1)" * 60 + "1" * 21, "too long"),
        ("(" * 199 + "1", "not an"),
        ("1 / 0", "zero"),
        ("1 % 0", "zero"),
        ("0 ** -1", "zero"),
        ("9 ** 9 ** 9", "exponent"),
        ("2 ** 65", "exponent"),
        ("10 ** 16", "range"),
        ("9" * 40, "range"),
        ("(-8) ** 0.5", "range"),
        ("1.5 ** 64 ** 1.0 * 9 ** 40", "range"),
    ],
)
def test_unfit_expression_is_refused(expression: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        calculate(expression)


@given(st.text(alphabet="0123456789.+-*/%() abc\0", max_size=60))
def test_calculator_gives_a_bounded_number_or_value_error(expression: str) -> None:
    try:
        value = calculate(expression)
    except ValueError:
        return
    assert abs(value) <= 1e15
    assert calculate(expression) == value


def test_cost_is_looked_up_whatever_the_case_of_the_service() -> None:
    assert cost_lookup("compute", "2025-08") == cost_lookup(" Compute ", "2025-08") == 4120


@pytest.mark.parametrize(("service", "month", "has"), [("rent", "2025-08", "compute"), ("compute", "May", "2025-05")])
def test_unknown_cost_says_what_is_known(service: str, month: str, has: str) -> None:
    with pytest.raises(ValueError, match=has):
        cost_lookup(service, month)


@pytest.mark.parametrize(
    ("name", "arguments", "results"),
    [
        ("cost_lookup", '{"service": "storage", "month": "2025-05"}', {"usd": 310}),
        ("calculator", '{"expression": "310 * 12", "more": 1}', {"value": 3720}),
    ],
)
def test_tool_runs_as_a_model_asks(name: str, arguments: str, results: dict[str, object]) -> None:
    assert run_tool(name, arguments) == ToolResult(results=results, success=True)


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("calculator", '{"expression": "compute"}', "arithmetic"),
        ("calculator", '{"expression": 12}', "expression is missing or not a string"),
        ("calculator", "{}", "expression is missing"),
        ("cost_lookup", '{"service": "compute"}', "month is missing"),
        ("cost_lookup", '{"service": "compute"', "not a JSON object"),
        ("cost_lookup", "[]", "not a JSON object"),
        ("cost_lookup", "[" * 100_000, "not a JSON object"),
        ("rm", "{}", "no such tool"),
    ],
)
def test_what_goes_wrong_is_the_result(name: str, arguments: str, error: str) -> None:
    result = run_tool(name, arguments)
    assert not result.success
    assert error in str(result.results["error"])


@given(st.sampled_from(["cost_lookup", "calculator", "other"]), st.text() | st.from_type(dict).map(str))
def test_no_arguments_make_a_tool_raise(name: str, arguments: str) -> None:
    run_tool(name, arguments)


def test_declared_parameters_are_the_ones_the_tools_read() -> None:
    fitting = {"service": "compute", "month": "2025-08", "expression": "1 + 1"}
    for tool in TOOLS:
        function = json.loads(json.dumps(tool))["function"]
        assert set(function["parameters"]["properties"]) == set(function["parameters"]["required"])
        arguments = json.dumps({name: fitting[name] for name in function["parameters"]["required"]})
        assert run_tool(function["name"], arguments).success


def test_parameters_are_none_only_where_there_is_no_object() -> None:
    assert parameters_of('{"a": 1}') == {"a": 1}
    assert parameters_of("{}") == {}
    assert parameters_of("null") is None
    assert parameters_of('{"a": NaN}') is None
    assert parameters_of('{"a": [1e999]}') is None
