"""`filters:` sets of conditions, AND inside a set and OR between sets, and their SQL. The operators are one table.

A condition on NULL follows the reader's expectation, not SQL's: `not_equals x` and `not_in` keep rows without a value.
Comparisons of text are case-sensitive. Which rows a filter sees (the shaped extract) is decided in spec/shape.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field, model_validator
from sqlglot import exp

from spec.base import Identifier, Model
from spec.dates import evaluate, is_expression, parse

Scalar = str | int | float | bool
Operator = Literal[
    "equals", "not_equals", "less_than", "at_most", "more_than", "at_least", "before", "after", "on_or_before",
    "on_or_after", "between", "in", "not_in", "contains", "not_contains", "starts_with", "ends_with",
    "empty", "not_empty", "true", "false",
]  # fmt: skip


class Condition(Model):
    """One comparison of a source column, such as `{field: status, is: equals, value: active}`."""

    field: Identifier
    is_: Annotated[Operator, Field(alias="is")]
    value: Scalar | list[Scalar] | None = None

    @model_validator(mode="after")
    def _takes(self) -> Condition:
        wanted, found = OPERATORS[self.is_].takes, _count(self.value)
        if found < 1 if wanted == MANY else found != wanted:
            message = f"`is: {self.is_}` takes {_WORDS[wanted]}, found {self.value!r}"
            raise ValueError(message)
        for value in self.values:
            if is_expression(value):
                parse(str(value))
        return self

    @property
    def values(self) -> list[Scalar]:
        """The values as a list, empty for operators that take none."""
        return self.value if isinstance(self.value, list) else [] if self.value is None else [self.value]


class All(Model):
    """Conditions that must all hold."""

    all: Annotated[list[Condition], Field(min_length=1)]


class Filters(Model):
    """Sets of conditions of which at least one must hold."""

    any: Annotated[list[All], Field(min_length=1)]


class Kind(NamedTuple):
    """One row of the operator table: how many values it takes, and its expression."""

    takes: int
    build: Callable[[exp.Expr, list[exp.Expr]], exp.Expr]


MANY = -1
_WORDS = {0: "no value", 1: "one value", 2: "two values, [from, to]", MANY: "a list of values"}


def _count(value: Scalar | list[Scalar] | None) -> int:
    return len(value) if isinstance(value, list) else int(value is not None)


def _compare(node: type[exp.Binary]) -> Kind:
    return Kind(1, lambda column, values: node(this=column, expression=values[0]))


def _text(function: str) -> Callable[[exp.Expr, list[exp.Expr]], exp.Expr]:
    return lambda column, values: exp.func(function, exp.cast(column, "text"), values[0])


def _is_empty(column: exp.Expr, _: list[exp.Expr]) -> exp.Expr:
    blank = exp.EQ(this=exp.cast(column.copy(), "text"), expression=exp.Literal.string(""))
    return exp.or_(exp.Is(this=column, expression=exp.null()), blank)


def _known(column: exp.Expr, condition: exp.Expr) -> exp.Expr:
    return exp.or_(exp.Is(this=column.copy(), expression=exp.null()), exp.Not(this=exp.paren(condition)))


OPERATORS: Mapping[str, Kind] = {
    "equals": _compare(exp.EQ),
    "not_equals": Kind(1, lambda column, values: exp.NullSafeNEQ(this=column, expression=values[0])),
    "less_than": _compare(exp.LT),
    "at_most": _compare(exp.LTE),
    "more_than": _compare(exp.GT),
    "at_least": _compare(exp.GTE),
    "before": _compare(exp.LT),
    "after": _compare(exp.GT),
    "on_or_before": _compare(exp.LTE),
    "on_or_after": _compare(exp.GTE),
    "between": Kind(2, lambda column, values: exp.Between(this=column, low=values[0], high=values[1])),
    "in": Kind(MANY, lambda column, values: exp.In(this=column, expressions=values)),
    "not_in": Kind(MANY, lambda column, values: _known(column, exp.In(this=column, expressions=values))),
    "contains": Kind(1, _text("contains")),
    "not_contains": Kind(1, lambda column, values: _known(column, _text("contains")(column, values))),
    "starts_with": Kind(1, _text("starts_with")),
    "ends_with": Kind(1, _text("ends_with")),
    "empty": Kind(0, _is_empty),
    "not_empty": Kind(0, lambda column, values: exp.Not(this=exp.paren(_is_empty(column, values)))),
    "true": Kind(0, lambda column, _: exp.Is(this=column, expression=exp.true())),
    "false": Kind(0, lambda column, _: exp.Is(this=column, expression=exp.false())),
}
assert set(OPERATORS) == set(get_args(Operator))  # noqa: S101  (the type and the table are one list)


def columns_of(filters: Filters | None) -> list[str]:
    """The source columns that the filters look at, in order of appearance."""
    sets = filters.any if filters else []
    return list(dict.fromkeys(condition.field for each in sets for condition in each.all))


def compile_filters(filters: Filters | None, now: datetime, zone: str) -> exp.Expr | None:
    """The filters as one DuckDB condition; `date:` values are relative to `now` (the window's end) in `zone`."""
    if filters is None:
        return None
    return exp.or_(*(exp.and_(*(_condition(item, now, zone) for item in each.all)) for each in filters.any))


def _condition(condition: Condition, now: datetime, zone: str) -> exp.Expr:
    column = exp.column(condition.field, quoted=True)
    return OPERATORS[condition.is_].build(column, [_literal(value, now, zone) for value in condition.values])


def _literal(value: Scalar, now: datetime, zone: str) -> exp.Expr:
    if is_expression(value):
        moment = evaluate(str(value), now, zone).astimezone(UTC)
        return exp.cast(exp.Literal.string(moment.isoformat(sep=" ")), "timestamptz")
    return exp.convert(value)
