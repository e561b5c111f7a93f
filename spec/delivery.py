"""Where the rows go: `deliver:` with its path template. What the file looks like is in formats.py; how files are
written is the assets room's work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from spec.base import Model, Name
from spec.formats import Format
from spec.secrets import Secret
from spec.template import check_template

Template = Annotated[
    str, AfterValidator(check_template), Field(description="such as {export}/{partition}/{export}_{part}.csv.gz")
]


ENCRYPTED = (".pgp", ".gpg")
"""How the names of encrypted files end."""


class Encrypt(Model):
    """How files are kept from all but those who shall read them."""

    pgp: Annotated[list[Secret], Field(min_length=1, description="the OpenPGP public keys of those who can read them")]


class Delivery(Model):
    """One partner's share of the window: a store, a path and a format, with a state and a receipt of its own."""

    to: Name
    name: Name | None = Field(default=None, description="needed when two deliveries go to one connector")
    path: Template
    format: Format
    encrypt: Encrypt | None = None
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

    @property
    def unencrypted(self) -> str:
        """The path without the ending that says that the file is encrypted."""
        ending = next((each for each in ENCRYPTED if self.path.endswith(each)), "") if self.encrypt else ""
        return self.path.removesuffix(ending)

    def advice(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What is allowed and deserves a thought: the place within the delivery, and a sentence."""
        if self.encrypt and self.unencrypted == self.path:
            yield ("path",), f"the file is encrypted, and its name does not end with {' or '.join(ENCRYPTED)}"
        for key, sentence in self.format.advice():
            yield ("format", key), sentence
