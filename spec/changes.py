"""`changes:` of `mode: changes`: what tells a row from all others, and how a file says what became of it.

How rows are compared with those that were delivered before is the assets room's work.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from spec.base import Identifier, Model

Operation = Literal["added", "changed", "removed"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)


class Changes(Model):
    """The fields, by the names that they leave with, whose values no two rows share, and the column of the operation.

    A delivery whose path has {operation} gets a file for each operation instead of the column.
    """

    key: Annotated[list[Identifier], Field(min_length=1)]
    column: Identifier = "operation"

    @field_validator("key")
    @classmethod
    def _once(cls, key: list[str]) -> list[str]:
        if len({name.casefold() for name in key}) < len(key):
            message = "names a field twice"
            raise ValueError(message)
        return key
