"""Where the rows go: `deliver:` with its path template. What the file looks like is in formats.py; how files are
written is the assets room's work.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from spec.base import Model, Name
from spec.formats import Format
from spec.template import check_template

Template = Annotated[
    str, AfterValidator(check_template), Field(description="such as {export}/{partition}/{export}_{part}.csv.gz")
]


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
