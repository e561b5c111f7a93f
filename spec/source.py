"""Where the rows come from: `source:` with its cursor and tenant. How they are read is the assets room's work."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from spec.base import Duration, Identifier, Model, Name, Zone

Late = Annotated[
    Literal["restate", "carry", "report"] | None,
    Field(description="rows that come late: delivered with their window again, with the next one, or only counted"),
]
StampedBy = Annotated[
    Literal["database", "application"],
    Field(description="who sets the cursor; only stamps of the database allow the horizon `gate`"),
]


class TimeCursor(Model):
    """`by: time`: rows belong to the window that their `column` falls in; `key` breaks ties."""

    by: Literal["time"]
    column: Identifier
    key: Identifier | None = None
    stamped_by: StampedBy = "application"
    nulls: Literal["error", "include", "exclude"] = "error"
    lag: Duration = "5m"
    wait: Duration = "10m"
    late: Late = None
    lookback: Duration = "2d"
    timezone: Zone | None = None


class IdCursor(Model):
    """`by: id`: rows belong to the range of ids that was fixed for the partition's key."""

    by: Literal["id"]
    column: Identifier
    key: Identifier | None = None
    start: int | None = None
    stamped_by: StampedBy = "application"
    nulls: Literal["error", "exclude"] = "error"
    lag: Duration = "5m"
    wait: Duration = "10m"
    late: Late = None
    lookback: Duration = "2d"


Cursor = Annotated[TimeCursor | IdCursor, Field(discriminator="by")]


class Tenant(Model):
    """Only rows of one tenant: the engine adds the condition, and checks every row that was read against it."""

    column: Identifier
    equals: str | int


class SqlFile(Model):
    """A query in a file beside the declaration."""

    file: Annotated[str, Field(min_length=1)]


class Source(Model):
    """A table or a query of a declared connector, and how to tell what is new in it."""

    connector: Name
    table: Annotated[str, Field(min_length=1, description="table, or schema.table")] | None = None
    sql: SqlFile | str | None = Field(default=None, description="one SELECT; {low} and {high} are the window's bounds")
    cursor: Cursor | None = None
    tenant: Tenant | None = None
    batch_rows: Annotated[int, Field(ge=1, description="read in statements of so many rows each")] | None = None
    as_text: list[Identifier] = Field(default=[], description="columns read as the source's own text of them")

    @model_validator(mode="after")
    def _one_relation(self) -> Source:
        if (self.table is None) == (self.sql is None):
            message = "say either `table:` or `sql:`, one of them"
            raise ValueError(message)
        return self
