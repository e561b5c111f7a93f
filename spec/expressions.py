"""`expression:` a computed field: one scalar SQL expression of this row's columns, in DuckDB's dialect.

What may be in it is a list, not what may not: no query, no aggregate, no function that reads files, settings or the
clock. The text is parsed and only its tree goes on, columns quoted. Division and floats are left out: `/` makes
floating point of exact numbers.
"""

from __future__ import annotations

import re
from typing import Annotated

import sqlglot
from pydantic import AfterValidator, Field
from sqlglot import exp

LONGEST, DEEPEST, STEPS = 2000, 20, 150
_OPEN, _CLOSE = "([{", ")]}"
_CODES = re.compile(r"\x1b\[[0-9;]*m")
_WORD = re.compile(r"[A-Za-z_]+")
NAMED = frozenset({"DATE_PART", "STRIP_ACCENTS"})
"""Functions that sqlglot has no node for."""
NODES: frozenset[type[exp.Expr]] = frozenset(
    {
        exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Case, exp.If, exp.Var,
        exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.Interval,
        exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Escape,
        exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ,
        exp.Add, exp.Sub, exp.Mul, exp.IntDiv, exp.Mod, exp.Neg, exp.DPipe,
        exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Abs, exp.Ceil, exp.Floor, exp.Round, exp.Sign,
        exp.Upper, exp.Lower, exp.Trim, exp.Substring, exp.Left, exp.Right, exp.Length, exp.Replace, exp.Reverse,
        exp.Concat, exp.ConcatWs, exp.Pad, exp.StrPosition, exp.SplitPart, exp.StartsWith, exp.EndsWith, exp.Contains,
        exp.RegexpReplace, exp.RegexpExtract, exp.RegexpLike,
        exp.Extract, exp.Year, exp.Month, exp.Day, exp.DateDiff, exp.TimestampTrunc, exp.DateTrunc, exp.TimeToStr,
        exp.MD5, exp.SHA2, exp.Anonymous,
    }
)  # fmt: skip
_WORDS: tuple[tuple[type[exp.Expr], str], ...] = (
    (exp.Query, "asks another table"),
    (exp.AggFunc, "looks at more than its row; aggregate with `aggregate:`"),
    (exp.Window, "looks at more than its row"),
    (exp.Star, "names no column"),
    (exp.Div, "makes floating point of exact numbers; multiply, as in total * 0.5, or use // for whole numbers"),
)
TYPES = frozenset(
    exp.DataType.Type[name]
    for name in (
        "TEXT",
        "VARCHAR",
        "BOOLEAN",
        "SMALLINT",
        "INT",
        "BIGINT",
        "DECIMAL",
        "DATE",
        "TIME",
        "TIMESTAMP",
        "TIMESTAMPNTZ",
    )
)
"""What may be cast to."""


def plain(error: Exception) -> str:
    """What sqlglot says, on one line and without its codes for a terminal."""
    return " ".join(_CODES.sub("", str(error)).split())


def parse(text: str) -> exp.Expr:
    """The tree of an expression. Raises ValueError with the part that is not allowed."""
    if _depth(text) > DEEPEST:
        message = f"more than {DEEPEST} brackets inside each other; say it more simply, or in `transform: {{sql: ...}}`"
        raise ValueError(message)
    try:
        trees = sqlglot.parse(text, dialect="duckdb")
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        message = f"{text!r:.80} cannot be read as SQL: {plain(error):.120}"
        raise ValueError(message) from None
    if len(trees) != 1 or trees[0] is None:
        message = f"{text!r:.80} is not one expression"
        raise ValueError(message)
    _refuse_depth(trees[0])
    for node in trees[0].walk():
        _refuse(node)
        _refuse_nested(node)
    return trees[0]


def _refuse_depth(tree: exp.Expr) -> None:
    """A long chain of casts or operators is as deep as it is long, and whoever walks it goes as deep."""
    depth: dict[int, int] = {}
    for node in tree.bfs():
        depth[id(node)] = depth.get(id(node.parent), 0) + 1
    if max(depth.values()) > STEPS:
        message = f"more than {STEPS} steps one after the other; say it more simply, or in `transform: {{sql: ...}}`"
        raise ValueError(message)


def _refuse_nested(node: exp.Expr) -> None:
    """What makes no brackets deeper, and the reading of it as deep."""
    signs, outer = 0, node
    while isinstance(outer, exp.Unary | exp.Coalesce) and outer.parent is not None:
        signs, outer = signs + 1, outer.parent
    if signs > DEEPEST:
        message = f"more than {DEEPEST} of NOT, - and ?? one after the other; say it more simply"
        raise ValueError(message)


def _depth(text: str) -> int:
    deepest = depth = 0
    for letter in text:
        depth += (letter in _OPEN) - (letter in _CLOSE)
        deepest = max(deepest, depth)
    return deepest


def _refuse(node: exp.Expr) -> None:
    said = next((words for kind, words in _WORDS if isinstance(node, kind)), "is not allowed in an expression")
    wrong = type(node) not in NODES
    if isinstance(node, exp.Anonymous):
        wrong, said = node.name.upper() not in NAMED, "is not one of the functions of an expression"
    if isinstance(node, exp.Column) and len(node.parts) > 1:
        wrong, said = True, "has a dot; name the column alone, in double quotes if need be"
    if isinstance(node, exp.DataType) and node.this not in TYPES:
        wrong, said = True, "is no type of an expression; cast to DECIMAL(12, 2) or another exact one"
    if isinstance(node, exp.Var) and not _WORD.fullmatch(node.name):
        wrong, said = True, "is no part of a date, such as day or month"
    if isinstance(node, exp.Literal) and not node.is_string and "e" in node.name.lower():
        wrong, said = True, "would be floating point; write its digits"
    if wrong:
        message = f"{node.sql(dialect='duckdb')!r:.60} {said}"
        raise ValueError(message)


def columns_of(text: str) -> list[str]:
    """The columns that an expression names, in order of appearance."""
    return list(dict.fromkeys(column.name for column in parse(text).find_all(exp.Column)))


def compile_expression(text: str) -> exp.Expr:
    """The expression with every column quoted."""
    tree = parse(text)
    for column in tree.find_all(exp.Column):
        column.this.set("quoted", True)
    return exp.paren(tree)


def _checked(text: str) -> str:
    parse(text)
    return text


Expression = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST, description="one SQL expression of the row's columns"),
    AfterValidator(_checked),
]
