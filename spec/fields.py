"""`fields:` which columns leave, under which names, with which values, and how they are aggregated.

The rules of a field and between fields (all or none aggregated, at least one group, unique names) are checked here; SQL
is made in shape.py, which knows the types.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting
from pydantic import model_validator

from spec.base import Identifier, Model
from spec.casts import Cast
from spec.expressions import Expression, columns_of
from spec.patterns import Pattern
from spec.personal import PERSONAL, Pii
from spec.values import Scalar

Aggregate = Literal["group", "count", "sum", "average", "min", "max"]
_OF_COLUMNS = ("default", "replace", "cast", "format")
"""Settings of a field that is made `from` a column; an expression says all of it itself."""


class Field(Model):
    """One column of the result: `{from: gender, to: sex, default: unknown, replace: {female: ladies}}`."""

    from_: Annotated[Identifier | None, Setting(alias="from")] = None
    to: Identifier | None = None
    expression: Expression | None = None
    default: Scalar | None = Setting(default=None, description="instead of NULL and of an empty text")
    replace: dict[str, str] = Setting(default={}, description="values to replace, by their text")
    cast: Cast | None = None
    format: Pattern | None = None
    aggregate: Aggregate | None = None
    pii: Pii = Setting(default=False, description="personal data: never shown, and masked, dropped or hashed if said")

    @model_validator(mode="after")
    def _one_origin(self) -> Field:
        if (self.from_ is None) == (self.expression is None):
            message = "say either `from:` (a column) or `expression:`, one of them"
            raise ValueError(message)
        if self.expression is not None:
            _refuse_of_computed(self)
        if not isinstance(self.pii, bool) and self.aggregate and not self._hashed_group:
            message = f"what `pii:` says cannot be done to `aggregate: {self.aggregate}`; only a group can be hashed"
            raise ValueError(message)
        return self

    @property
    def _hashed_group(self) -> bool:
        return self.aggregate == "group" and self.pii not in {"mask", "drop"}

    @property
    def name(self) -> str:
        """The name that the column leaves with."""
        return self.to or str(self.from_)

    @property
    def leaves(self) -> bool:
        """Whether it is delivered at all."""
        return self.pii != "drop"

    @property
    def personal(self) -> bool:
        """Whether it is tagged, or looks personal by the name of its column, or by that which it leaves with."""
        return bool(self.pii) or any(map(PERSONAL.search, [*self.sources, self.name]))

    @property
    def sources(self) -> list[str]:
        """The source columns that it is made of."""
        return columns_of(self.expression) if self.expression is not None else [str(self.from_)]


def _refuse_of_computed(field: Field) -> None:
    if field.to is None:
        message = "a computed field needs its name: `to:`"
        raise ValueError(message)
    if field.aggregate:
        message = f"computed fields cannot be aggregated; compute {field.to!r} in `source.sql`, and aggregate it here"
        raise ValueError(message)
    if said := [name for name in _OF_COLUMNS if name in field.model_fields_set]:
        message = f"`{said[0]}` is for fields that have a `from:`; say it in the expression"
        raise ValueError(message)


def together(fields: list[Field]) -> None:
    """Raise ValueError where a rule between the fields of one export does not hold."""
    names = [field.name.casefold() for field in fields]
    if twice := [field.name for field in fields if names.count(field.name.casefold()) > 1]:
        message = (
            f"two fields leave as {twice[0]!r}; give one of them another `to:` "
            "(capitals do not count: databases and spreadsheets that read the file do not tell them apart)"
        )
        raise ValueError(message)
    if fields and not any(field.leaves for field in fields):
        message = "every field is dropped; let at least one leave"
        raise ValueError(message)
    kinds = {field.aggregate for field in fields} or {None}
    if kinds != {None} and (computed := [field.name for field in fields if field.expression is not None]):
        message = f"computed fields cannot be aggregated; compute {computed[0]!r} in `source.sql`"
        raise ValueError(message)
    if kinds != {None} and None in kinds:
        missing = next(field.name for field in fields if field.aggregate is None)
        message = f"when one field is aggregated all are; give {missing!r} an `aggregate:` such as group"
        raise ValueError(message)
    if kinds != {None} and "group" not in kinds:
        message = "an aggregation needs at least one field with `aggregate: group`"
        raise ValueError(message)
