"""The agent's two tools: a cost table and a calculator. Both answer from memory and always the same."""

from __future__ import annotations

import ast
import json
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["TOOLS", "ToolResult", "calculate", "cost_lookup", "parameters_of", "run_tool"]

_MONTHS = ("2025-05", "2025-06", "2025-07", "2025-08")
_USD = {
    "compute": (3890, 3960, 4050, 4120),
    "database": (940, 955, 980, 1010),
    "network": (88, 95, 97, 102),
    "storage": (310, 318, 325, 331),
}
_MAX_EXPRESSION = 200
_ALPHABET = frozenset("0123456789.+-*/%() ")
_MAX_NUMBER = 1e15
"""Beyond it a float no longer holds every whole number."""
_MAX_EXPONENT = 64
"""Keeps a power of two numbers in range small enough to compute before it is refused."""

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def _declare(name: str, purpose: str, *parameters: str) -> dict[str, object]:
    schema = {
        "type": "object",
        "properties": {parameter: {"type": "string"} for parameter in parameters},
        "required": list(parameters),
    }
    return {"type": "function", "function": {"name": name, "description": purpose, "parameters": schema}}


TOOLS = (
    _declare("cost_lookup", "Look up the monthly cost of a cloud service in US dollars", "service", "month"),
    _declare("calculator", "Work out an arithmetic expression", "expression"),
)
"""What an OpenAI-compatible API is told about the tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What came of one call.

    Attributes:
        results: what the tool said, or ``{"error": why}``.
        success: False if the tool is unknown, the arguments are unfit, or there is no answer.
    """

    results: dict[str, object]
    success: bool


def run_tool(name: str, arguments: str) -> ToolResult:
    """Run one tool the way a model asked for it. Never raises: what goes wrong is the result.

    Args:
        name: one of the names in `TOOLS`, or anything a model makes up.
        arguments: a JSON object, or anything a model makes up.
    """
    parameters = parameters_of(arguments)
    if parameters is None:
        return ToolResult(results={"error": "the arguments are not a JSON object"}, success=False)
    try:
        if name == "cost_lookup":
            usd = cost_lookup(_text(parameters, "service"), _text(parameters, "month"))
            return ToolResult(results={"usd": usd}, success=True)
        if name == "calculator":
            return ToolResult(results={"value": calculate(_text(parameters, "expression"))}, success=True)
        raise ValueError("there is no such tool")
    except ValueError as problem:
        return ToolResult(results={"error": str(problem)}, success=False)


def parameters_of(arguments: str) -> dict[str, object] | None:
    """The arguments of a call, or None if they are not a JSON object."""
    try:
        parameters = json.loads(arguments)
        json.dumps(parameters, allow_nan=False)  # Python reads NaN and 1e999, which are not JSON to anybody else
    except (ValueError, RecursionError):
        return None
    return parameters if isinstance(parameters, dict) else None


def cost_lookup(service: str, month: str) -> int:
    """US dollars one service cost in one month (``YYYY-MM``).

    Raises:
        ValueError: the table has no such service or month; the text lists what it has.
    """
    by_month = _USD.get(service.strip().lower())
    if by_month is None:
        raise ValueError(f"unknown service, choose one of {', '.join(_USD)}")
    if month not in _MONTHS:
        raise ValueError(f"unknown month, choose one of {', '.join(_MONTHS)}")
    return by_month[_MONTHS.index(month)]


def calculate(expression: str) -> int | float:
    """Work out ``+ - * / // % **`` on numbers, without running code.

    Returns:
        An int where the value is whole, else a float rounded to 6 places.

    Raises:
        ValueError: not such an expression, longer than 200 characters, a division by zero, an exponent beyond 64
            or a value beyond 1e15.
    """
    if len(expression) > _MAX_EXPRESSION:
        raise ValueError("the expression is too long")
    # Python's parser warns about names glued to numbers, and knows numbers that are not arithmetic here: 1j, 0x1.
    if not _ALPHABET.issuperset(expression):
        raise ValueError("not an arithmetic expression")
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except ZeroDivisionError:
        raise ValueError("division by zero") from None
    except (SyntaxError, RecursionError, MemoryError, OverflowError):
        raise ValueError("not an arithmetic expression") from None
    return int(value) if value == int(value) else round(value, 6)


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            value: float = number
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            value = _UNARY[type(sign)](_value(operand))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            first, second = _value(left), _value(right)
            if isinstance(sign, ast.Pow) and abs(second) > _MAX_EXPONENT:
                raise ValueError("the exponent is too large")
            value = _BINARY[type(sign)](first, second)
        case _:
            raise ValueError("not an arithmetic expression")
    # A root of a negative number is complex.
    if isinstance(value, complex) or not math.isfinite(value) or abs(value) > _MAX_NUMBER:
        raise ValueError("the value is out of range")
    return value


def _text(parameters: dict[str, object], name: str) -> str:
    value = parameters.get(name)
    if not isinstance(value, str):
        raise ValueError(f"the argument {name} is missing or not a string")
    return value
