"""References to values that are not written down: `{env: NAME}` and `{file: PATH}`. Reading them is the resources
room's work.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spec.base import Model, like


class FromEnv(Model):
    """A value kept in an environment variable."""

    env: Annotated[str, like(r"^[A-Za-z_][A-Za-z0-9_]*$", "SHOP_PASSWORD: a name of letters, digits and _")]

    def __str__(self) -> str:
        return f"{{env: {self.env}}}"


class FromFile(Model):
    """A value kept in a file; a final newline is not part of it."""

    file: Annotated[str, Field(min_length=1)]

    def __str__(self) -> str:
        return f"{{file: {self.file}}}"


Secret = FromEnv | FromFile
"""A setting that may only be a reference: a literal is refused."""
