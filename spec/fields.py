"""`fields:` which columns leave, under which names, with which values, and how they are aggregated.

The rules between fields (all or none aggregated, at least one group, unique names) are checked here; SQL is made in
spec/shape.py.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting

from spec.base import Identifier, Model

Scalar = str | int | float | bool
Aggregate = Literal["group", "count", "sum", "average", "min", "max"]


class Field(Model):
    """One column of the result: `{from: gender, to: sex, default: unknown, replace: {female: ladies}}`."""

    from_: Annotated[Identifier, Setting(alias="from")]
    to: Identifier | None = None
    default: Scalar | None = Setting(default=None, description="instead of NULL and of an empty text")
    replace: dict[str, str] = Setting(default={}, description="values to replace, by their text")
    aggregate: Aggregate | None = None
    pii: bool = Setting(default=False, description="personal data: masked in previews and logs")

    @property
    def name(self) -> str:
        """The name that the column leaves with."""
        return self.to or self.from_


def together(fields: list[Field]) -> None:
    """Raise ValueError where a rule between the fields of one export does not hold."""
    names = [field.name.casefold() for field in fields]
    if twice := [field.name for field in fields if names.count(field.name.casefold()) > 1]:
        message = f"two fields leave as {twice[0]!r} (capitals do not count); give one of them another `to:`"
        raise ValueError(message)
    kinds = {field.aggregate for field in fields} or {None}
    if kinds != {None} and None in kinds:
        missing = next(field.name for field in fields if field.aggregate is None)
        message = f"when one field is aggregated all are; give {missing!r} an `aggregate:` such as group"
        raise ValueError(message)
    if kinds != {None} and "group" not in kinds:
        message = "an aggregation needs at least one field with `aggregate: group`"
        raise ValueError(message)
