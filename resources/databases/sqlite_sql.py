"""SQL for SQLite in which a name is only ever a name.

SQLite reads `"amount"` as the text 'amount' where no column is called that, and answers with it instead of an error. A
name in backticks it never does that with.
"""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp
from sqlglot.dialects.sqlite import SQLite


class Named(SQLite):
    """SQLite's dialect with backticks around names."""

    class Tokenizer(SQLite.Tokenizer):
        """Reads what it writes."""

        IDENTIFIERS: ClassVar = ["`"]


def sql(tree: exp.Expr) -> str:
    """The text of a tree."""
    return tree.sql(dialect=Named)
