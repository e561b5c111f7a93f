"""Where the rows go: `deliver:` with its path template and file format. How files are written is the assets room's
work.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from spec.base import Model, Name, Size, size
from spec.template import check_template

Compression = Literal["none", "gzip", "zstd"]
Template = Annotated[
    str, AfterValidator(check_template), Field(description="such as {export}/{partition}/{export}_{part}.csv.gz")
]


class _Format(Model):
    part_size: Size | None = None

    @property
    def part_bytes(self) -> int | None:
        """The size at which a new part begins, in bytes as written (compressed)."""
        return size(self.part_size) if self.part_size else None


class Csv(_Format):
    """Values between delimiters. NULL is nothing at all, an empty text is an enclosed nothing."""

    type: Literal["csv"] = "csv"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    enclosure: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    newline: Literal["lf", "crlf"] = "lf"
    header: bool = True
    compression: Compression = "none"

    @model_validator(mode="after")
    def _apart(self) -> Csv:
        if self.delimiter == self.enclosure or {self.delimiter, self.enclosure} & {"\r", "\n"}:
            message = "`delimiter` and `enclosure` must differ, and neither may be a line break"
            raise ValueError(message)
        return self


class Psv(_Format):
    """Values between pipes, enclosed in double quotes where needed, lines ended by LF."""

    type: Literal["psv"] = "psv"
    header: bool = True
    compression: Compression = "none"


class Ndjson(_Format):
    """One JSON object a line."""

    type: Literal["ndjson"] = "ndjson"
    compression: Compression = "none"


class Parquet(_Format):
    """Apache Parquet, types exact."""

    type: Literal["parquet"] = "parquet"
    compression: Literal["none", "snappy", "zstd"] = "zstd"


Format = Annotated[Csv | Psv | Ndjson | Parquet, Field(discriminator="type")]


class Delivery(Model):
    """One partner's share of the window: a store, a path and a format, with a state and a receipt of its own."""

    to: Name
    name: Name | None = Field(default=None, description="needed when two deliveries go to one connector")
    path: Template
    format: Format
    empty: Literal["deliver", "skip"] = Field(
        default="deliver", description="a window without rows: an empty file, or none"
    )
    manifest: bool | None = Field(
        default=None, description="_manifest.json beside the files; by default as the store says"
    )
    done_file: bool = False
    collects: bool = Field(default=False, description="the partner takes files away once they are there")

    @property
    def label(self) -> str:
        """The delivery's name within its export."""
        return self.name or self.to
