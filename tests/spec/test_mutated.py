"""Whatever is written, the language answers: a clean result or a clean error, and nothing escapes its place.

The seed is fixed. OUTGATE_PROVE=1 plays a million inputs, else there are twenty thousand.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import pytest
import sqlglot
from pydantic import ValidationError
from sqlglot import exp

from assets.relation import parse_select
from spec.dates import evaluate, parse
from spec.errors import OutgateError
from spec.expressions import NAMED, NODES, columns_of, compile_expression
from spec.filters import MANY, OPERATORS, Filters, compile_filters
from spec.patterns import check, spelled, strftime
from spec.template import check_template, render
from spec.values import Clock
from tests.spec.mutation import FRAGMENTS, SPICES, mutated

ROUNDS = (1_000_000 if os.environ.get("OUTGATE_PROVE") else 20_000) // 6
NOW = datetime(2025, 10, 26, 1, 30, tzinfo=UTC)
TYPES = ("VARCHAR", "INTEGER", "DECIMAL(12,2)", "DOUBLE", "BOOLEAN", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "VARCHAR[]", "BLOB", "UUID")  # fmt: skip
DIALECTS = ("duckdb", "postgres", "mysql", "tsql", "oracle", "sqlite")


def a_date(chance: random.Random) -> None:
    """An instant with a zone, or a ValueError, at check and at a window's end."""
    text = f"date:{mutated(chance, 'dates')}"
    with suppress(ValueError):
        parse(text)
        assert evaluate(text, NOW, "Europe/Paris").tzinfo


def a_pattern(chance: random.Random) -> None:
    """A pattern that is accepted spells every day, and is some strftime of the engine's."""
    with suppress(ValueError):
        pattern = check(mutated(chance, "patterns"))
        assert spelled(NOW, pattern)
        assert strftime(pattern)


def a_template(chance: random.Random) -> None:
    """What is rendered stays below the folder, whatever the values are."""
    values = dict.fromkeys(
        ("partition", "date", "time", "datetime", "export", "timezone", "generation", "part", "parts"), "1"
    )
    with suppress(ValueError):
        path = PurePosixPath(
            render(check_template(mutated(chance, "templates")), values | {"tenant": mutated(chance, "values")})
        )
        assert not path.is_absolute()
        assert not {"..", "."} & set(path.parts)


def an_expression(chance: random.Random) -> None:
    """What is accepted is one expression still when it is read back, of nodes that are allowed."""
    with suppress(ValueError):
        text = mutated(chance, "expressions")
        columns = columns_of(text)
        [tree] = sqlglot.parse(compile_expression(text).sql(dialect="duckdb"), dialect="duckdb")
        assert tree
        assert {type(node) for node in tree.walk()} <= NODES
        assert {node.name.upper() for node in tree.find_all(exp.Anonymous)} <= NAMED
        assert {node.name for node in tree.find_all(exp.Column)} == set(columns)


def a_query(chance: random.Random) -> None:
    """A tree that can be rendered, or an error with its place."""
    dialect = chance.choice(DIALECTS)
    with suppress(OutgateError):
        tree = parse_select(mutated(chance, "queries"), dialect, "x.yaml:1")
        assert isinstance(tree, exp.Query)


def a_filter(chance: random.Random) -> None:
    """A condition whose every value is one literal, or an error."""
    operator, column = chance.choice(list(OPERATORS)), mutated(chance, "values")
    takes = OPERATORS[operator].takes
    values = [_value(chance) for _ in range(chance.randint(1, 3) if takes == MANY else takes)]
    asked = {} if takes == 0 and chance.random() < 0.9 else {"value": values[0] if takes == 1 else values}
    with suppress(OutgateError, ValidationError):
        filters = Filters.model_validate_json(
            json.dumps({"any": [{"all": [{"field": column, "is": operator} | asked]}]})
        )
        clock = Clock(NOW, "Europe/Paris", "UTC")
        tree = compile_filters(filters, {column: chance.choice(TYPES)}, clock, lambda _: "x.yaml:1")
        assert tree
        [again] = sqlglot.parse(tree.sql(dialect="duckdb"), dialect="duckdb")
        assert again
        assert {node.name for node in again.find_all(exp.Column)} == {column}


def _value(chance: random.Random) -> Any:
    plain = (True, 0, -1, 1.5, 10**30, 1e300, -0.0)
    return (
        chance.choice(plain) if chance.random() < 0.3 else mutated(chance, chance.choice(("values", "values", "dates")))
    )


PARSERS: dict[str, Callable[[random.Random], None]] = {
    each.__name__: each for each in (a_date, a_pattern, a_template, an_expression, a_query, a_filter)
}


@pytest.mark.parametrize("name", PARSERS)
def test_a_mutated_input_is_read_or_refused(name: str) -> None:
    """There is no third way, and the input is named when there is."""
    for number in range(ROUNDS):
        try:
            PARSERS[name](random.Random(f"{name} {number}"))
        except Exception as error:
            error.add_note(f"input number {number}")
            raise


@pytest.mark.parametrize("kind", FRAGMENTS)
def test_some_of_the_mutated_are_still_right_and_most_are_not(kind: str) -> None:
    """The control: inputs that no parser accepts, or that all accept, would prove nothing."""
    readers: dict[str, Callable[[str], Any]] = {
        "dates": parse, "patterns": check, "templates": check_template, "expressions": columns_of,
        "queries": lambda text: parse_select(text, "duckdb", "x"), "values": check_template,
    }  # fmt: skip
    right = 0
    for number in range(400):
        with suppress(ValueError, OutgateError):
            readers[kind](mutated(random.Random(number), kind))
            right += 1
    assert 10 < right < 390


@pytest.mark.parametrize("sign", ["NOT ", "- "])
def test_signs_before_each_other_are_bounded(sign: str) -> None:
    """What is read can be read back, brackets around it and all; twenty are enough for anybody."""
    assert compile_expression(sign * 19 + "a")
    with pytest.raises(ValueError, match="more than 20 of NOT, - and \\?\\? one after the other"):
        compile_expression(sign * 60 + "a")
    with pytest.raises(ValueError, match="one after the other"):
        compile_expression("a" + "?" * 250)


def test_long_chains_are_bounded() -> None:
    """Of casts, and of operators: what walks the tree goes as deep as it is long."""
    for one in ("::text", "||a"):
        assert compile_expression("a" + one * 100)
        with pytest.raises(ValueError, match="more than 150 steps one after the other"):
            compile_expression("a" + one * 300)


def test_units_are_words() -> None:
    """What else could be read there would not be read back alike."""
    assert compile_expression("created_at + INTERVAL 1 DAY")
    with pytest.raises(ValueError, match="is no part of a date, such as day or month"):
        compile_expression("created_at + INTERVAL 1 D1e9991e999")


def test_times_can_be_cast_to() -> None:
    """`timestamp` is one of the types that are said to be allowed."""
    assert compile_expression("cast(a as timestamp) < timestamp '2024-01-01 00:00:00'")


def test_joins_that_say_nothing_are_bounded() -> None:
    """Each of them would double the time; those that say how are as many as one likes."""
    with pytest.raises(OutgateError, match="more than 8 joins"):
        parse_select("SELECT 1 FROM a " + "JOIN b " * 40, "postgres", "x")
    for how in ("CROSS JOIN b ", "JOIN b USING (c) ", "JOIN b ON a.c = b.c "):
        assert parse_select("SELECT 1 FROM a " + how * 40, "postgres", "x")


@pytest.mark.parametrize("spice", SPICES, ids=ascii)
def test_what_nests_without_end_ends(spice: str) -> None:
    """The longest text that is allowed, of one thing over and over."""
    readers: tuple[Callable[[str], Any], ...] = (
        parse, check, check_template, lambda text: compile_expression(text).sql(dialect="duckdb"),
        lambda text: parse_select(text, "duckdb", "x"),
    )  # fmt: skip
    for reader in readers:
        with suppress(ValueError, OutgateError):
            reader((spice * 2000)[:2000])
