"""What every connector is: a strict pydantic model named by its `type`, whose secrets are references until the moment
of use.

The three kinds add their own contract: databases/base.py, stores/base.py, apis/base.py.
"""

from __future__ import annotations

from spec.base import Model


class Connector(Model):
    """One declared connection. Subclasses set `type: Literal["..."] = "..."`, which is how a declaration finds them.

    A setting annotated `spec.secrets.Secret` can only be given as a reference; any other setting may be a literal or a
    reference. A setting called `path` is relative to the project's folder.
    """

    type: str = ""

    def check(self) -> list[str]:
        """Try the connection; return one sentence a problem, each with what to do about it. Empty means ready."""
        return []

    def warnings(self) -> list[str]:
        """What is allowed and deserves a thought, one sentence each; nothing is tried."""
        return []
