"""Every error that Outgate raises on purpose, chosen by what ends it, not by where it was raised.

OutgateError
|-- DeclarationError      the YAML or the command is wrong: a person edits it (exit 2)
|-- ConnectorError        a system refused or could not be reached: `retriable` says whether trying again can help
|-- SourceChanged         a column is gone or retyped since the last delivery: a person decides
|-- RowsRefused           rows that cannot be delivered truthfully (NULL cursors, infinities, a foreign tenant)
|-- QuotaHeld             no quota: the window is `held` and starts again by itself (exit 3)
|-- NotYet                the horizon is before the window's end: wait for the source (exit 3)
|-- LeaseLost             another worker has the window now: this one must not write any more
|-- DeliveryUnknown       the answer to a publish call was lost and the destination cannot say
|-- SpoolLost             sealed parts are missing or altered: the window is read again as a new generation
`-- LedgerError           the ledger is older than its spool, newer than this release, or away
    `-- LedgerMissing     there is none yet: `outgate init` makes one

A text says what, where (file and line, or export and partition), what is allowed and what to do. Values are shown by
`!r`, secrets never. Nothing else belongs in this file.
"""

from __future__ import annotations

from typing import ClassVar, Literal


class OutgateError(Exception):
    """The root: `exit_code` is what the command line ends with, `state` what the ledger shows for the window."""

    exit_code: ClassVar[int] = 1
    state: ClassVar[Literal["failed", "held", "unknown", "planned"]] = "failed"
    retriable: bool = False


class DeclarationError(OutgateError):
    """A declaration, a setting or a command that cannot be right; each line is one problem with its place."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class ConnectorError(OutgateError):
    """A database, store or API that refused or did not answer."""

    def __init__(self, message: str, *, retriable: bool = False) -> None:
        super().__init__(message)
        self.retriable = retriable


class SourceChanged(OutgateError):
    """The source's columns are not those of the last delivery, or the server is not the one it was."""


class RowsRefused(OutgateError):
    """Rows that would have to be altered, guessed or left out to be delivered."""


class QuotaHeld(OutgateError):
    """The quota does not cover the window; nothing was read."""

    exit_code = 3
    state = "held"


class NotYet(OutgateError):
    """The source may still commit rows that belong in the window; nothing was read."""

    exit_code = 3
    state = "planned"


class LeaseLost(OutgateError):
    """The fencing number moved on: somebody else owns the window."""


class DeliveryUnknown(OutgateError):
    """Whether the destination took the delivery cannot be decided from here."""

    state = "unknown"


class SpoolLost(OutgateError):
    """A sealed part is missing from the spool or is no longer the bytes that were sealed."""


class LedgerError(OutgateError):
    """The ledger cannot be trusted as it stands."""


class LedgerMissing(LedgerError):
    """There is no ledger at that place, and nothing says that there ever was one."""
