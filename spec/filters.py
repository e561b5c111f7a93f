"""`filters:` sets of conditions, AND inside a set and OR between sets, and their SQL. The operators are one table: what
each takes, for which kinds of columns, and its expression.

A condition on NULL follows the reader's expectation, not SQL's: `not_equals x`, `not_in` and `not_contains` keep rows
without a value. Comparisons of text are case-sensitive. How values are read and written is in values.py; which rows a
filter sees (the shaped extract) is decided in shape.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field, model_validator
from sqlglot import exp

from spec.base import Identifier, Model
from spec.dates import evaluate, is_expression, parse
from spec.document import Path
from spec.errors import DeclarationError
from spec.kinds import WORDS, Kind, item_of, kind_of
from spec.values import READERS, Clock, Scalar, literal, read

Operator = Literal[
    "equals", "not_equals", "less_than", "at_most", "more_than", "at_least", "before", "after", "on_or_before",
    "on_or_after", "between", "in", "not_in", "contains", "not_contains", "contains_any", "contains_all",
    "starts_with", "ends_with", "empty", "not_empty", "true", "false",
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
            message = f"`is: {self.is_}` takes {_TAKES[wanted]}, found {self.value!r}"
            raise ValueError(message)
        for value in filter(is_expression, self.values):
            parse(str(value))
        if self.values:
            _could_be(self.values, OPERATORS[self.is_].kinds, self.is_)
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


Build = Callable[[exp.Expr, list[exp.Expr]], exp.Expr]


class Row(NamedTuple):
    """One row of the operator table: how many values it takes, and its expression by the kind of the column."""

    takes: int
    kinds: Mapping[Kind, Build]


MANY = -1
_TAKES = {0: "no value", 1: "one value", 2: "two values, [from, to]", MANY: "a list of values"}
_MOMENTS: tuple[Kind, ...] = ("date", "time", "local", "instant")
_ORDERED: tuple[Kind, ...] = ("number", *_MOMENTS)
_COMPARED: tuple[Kind, ...] = ("text", *_ORDERED)


def _count(value: Scalar | list[Scalar] | None) -> int:
    return len(value) if isinstance(value, list) else int(value is not None)


def _could_be(values: list[Scalar], kinds: Iterable[Kind], operator: str) -> None:
    """Raise ValueError for values that no column which the operator is for can have."""
    said = []
    for kind in READERS if "list" in kinds else kinds:
        try:
            for value in values:
                read(value, kind)
        except ValueError as error:
            said.append(str(error))
        else:
            return
    message = f"`is: {operator}`: {', and '.join(dict.fromkeys(said))}"
    raise ValueError(message)


def _compare(node: type[exp.Binary]) -> Build:
    return lambda column, values: node(this=column, expression=values[0])


def _call(function: str) -> Build:
    return lambda column, values: exp.func(function, column, values[0])


def _each(join: Callable[..., exp.Expr]) -> Build:
    return lambda column, values: exp.paren(join(*(exp.func("list_contains", column.copy(), one) for one in values)))


def _is(value: exp.Expr) -> Build:
    return lambda column, _: exp.Is(this=column.copy(), expression=value.copy())


def _not(build: Build) -> Build:
    return lambda column, values: exp.Not(this=exp.paren(build(column, values)))


def _or_null(build: Build) -> Build:
    return lambda column, values: exp.paren(exp.or_(_IS_NULL(column, values), build(column, values)))


def _between(column: exp.Expr, values: list[exp.Expr]) -> exp.Expr:
    return exp.Between(this=column, low=values[0], high=values[1])


def _in(column: exp.Expr, values: list[exp.Expr]) -> exp.Expr:
    return exp.In(this=column, expressions=values)


_IS_NULL = _is(exp.null())
_CONTAINS: Mapping[Kind, Build] = {"text": _call("contains"), "list": _call("list_contains")}
_EMPTY: Mapping[Kind, Build] = dict.fromkeys(WORDS, _IS_NULL) | {
    "text": _or_null(lambda column, _: exp.EQ(this=column, expression=exp.Literal.string(""))),
    "list": _or_null(lambda column, _: exp.EQ(this=exp.func("len", column), expression=exp.convert(0))),
}
OPERATORS: Mapping[str, Row] = {
    "equals": Row(1, dict.fromkeys((*_COMPARED, "boolean"), _compare(exp.EQ))),
    "not_equals": Row(1, dict.fromkeys((*_COMPARED, "boolean"), _compare(exp.NullSafeNEQ))),
    "less_than": Row(1, {"number": _compare(exp.LT)}),
    "at_most": Row(1, {"number": _compare(exp.LTE)}),
    "more_than": Row(1, {"number": _compare(exp.GT)}),
    "at_least": Row(1, {"number": _compare(exp.GTE)}),
    "before": Row(1, dict.fromkeys(_MOMENTS, _compare(exp.LT))),
    "after": Row(1, dict.fromkeys(_MOMENTS, _compare(exp.GT))),
    "on_or_before": Row(1, dict.fromkeys(_MOMENTS, _compare(exp.LTE))),
    "on_or_after": Row(1, dict.fromkeys(_MOMENTS, _compare(exp.GTE))),
    "between": Row(2, dict.fromkeys(_ORDERED, _between)),
    "in": Row(MANY, dict.fromkeys(_COMPARED, _in)),
    "not_in": Row(MANY, dict.fromkeys(_COMPARED, _or_null(_not(_in)))),
    "contains": Row(1, _CONTAINS),
    "not_contains": Row(1, {kind: _or_null(_not(build)) for kind, build in _CONTAINS.items()}),
    "contains_any": Row(MANY, {"list": _each(exp.or_)}),
    "contains_all": Row(MANY, {"list": _each(exp.and_)}),
    "starts_with": Row(1, {"text": _call("starts_with")}),
    "ends_with": Row(1, {"text": _call("ends_with")}),
    "empty": Row(0, _EMPTY),
    "not_empty": Row(0, {kind: _not(build) for kind, build in _EMPTY.items()}),
    "true": Row(0, {"boolean": _is(exp.true())}),
    "false": Row(0, {"boolean": _is(exp.false())}),
}
assert set(OPERATORS) == set(get_args(Operator))  # noqa: S101  (the type and the table are one list)


def columns_of(filters: Filters | None) -> list[str]:
    """The source columns that the filters look at, in order of appearance."""
    return list(dict.fromkeys(condition.field for _, condition in numbered(filters)))


def numbered(filters: Filters | None) -> Iterator[tuple[Path, Condition]]:
    """Every condition with its path in the declaration."""
    for one, each in enumerate(filters.any if filters else []):
        for two, condition in enumerate(each.all):
            yield ("filters", "any", one, "all", two), condition


def dates_of(filters: Filters | None, now: datetime, zone: str) -> dict[str, str]:
    """The instant that each `date:` expression meant, in ISO 8601: what a receipt keeps of them."""
    said = (str(value) for _, condition in numbered(filters) for value in condition.values if is_expression(value))
    return {text: evaluate(text, now, zone).isoformat() for text in said}


def compile_filters(
    filters: Filters | None, columns: Mapping[str, str], clock: Clock, where: Callable[[Path], str]
) -> exp.Expr | None:
    """The filters as one DuckDB condition on `columns` (name to DuckDB type).

    Raises DeclarationError with the place, `where` of its path, of every condition that does not fit its column.
    """
    if filters is None:
        return None
    problems: list[str] = []
    found: dict[Path, list[exp.Expr]] = {}
    for path, condition in numbered(filters):
        try:
            found.setdefault(path[:3], []).append(_condition(condition, columns[condition.field], clock))
        except ValueError as error:
            problems.append(f"{where(path)}: {error}")
    if problems:
        raise DeclarationError(*problems)
    return exp.or_(*(exp.and_(*conditions) for conditions in found.values()))


def _condition(condition: Condition, type_: str, clock: Clock) -> exp.Expr:
    kind, row = kind_of(type_), OPERATORS[condition.is_]
    if kind not in row.kinds:
        allowed = ", ".join(name for name, other in OPERATORS.items() if kind in other.kinds)
        message = (
            f"`is: {condition.is_}` is not for column {condition.field!r}, which is {WORDS[kind]} ({type_}); "
            f"for that there are {allowed}"
        )
        raise ValueError(message)
    try:
        values = [literal(value, item_of(type_), clock) for value in condition.values]
    except ValueError as error:
        message = f"column {condition.field!r} is {WORDS[kind]} ({type_}): {error}"
        raise ValueError(message) from None
    return row.kinds[kind](_column(condition.field, kind, type_), values)


def _column(name: str, kind: Kind, type_: str) -> exp.Expr:
    """The column; as text where it is of a type, such as UUID, that the engine would convert by rules of its own."""
    column = exp.column(name, quoted=True)
    if kind == "text" and type_ != "VARCHAR":
        return exp.cast(column, "text")
    if kind == "list" and kind_of(item_of(type_)) == "text" and item_of(type_) != "VARCHAR":
        return exp.cast(column, "text[]", dialect="duckdb")
    return column
