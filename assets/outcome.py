"""What became of a window, for whoever asked: the command line, Dagster, a test. And how a run tells about itself on
the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from assets.transform import Shaped
from resources.ledger import Window as WindowRecord
from spec.errors import LeaseLost, OutgateError
from spec.export import Export
from spec.personal import MASK, PERSONAL

WIDEST = 60


class Reporter:
    """Told what happens; the base class keeps quiet."""

    def window(self, key: str, number: int, total: int) -> None:
        """Work on a window begins."""

    def read(self, rows: int, size: int) -> None:
        """Rows and bytes came from the source."""

    def sent(self, rows: int, size: int) -> None:
        """Rows and bytes were staged at a destination."""

    def say(self, text: str) -> None:
        """Something a person may want to know while waiting."""

    def done(self, outcome: Outcome) -> None:
        """A window came to an end."""


@dataclass(frozen=True)
class Outcome:
    """One window's end: `state` as the ledger has it; `skipped` when there was nothing to do.

    `barred`: what stopped it stops every window that is still to be read.
    `late`: the rows that came late, of a window that nobody asked for but that was delivered again because of them.
    `before`: nobody asked for it, but the changes of those that were asked for come after its own.
    """

    export: str
    key: str
    state: str
    detail: str
    record: WindowRecord | None
    skipped: bool = False
    preview: str = ""
    exit_code: int = 0
    retriable: bool = False
    late: int | None = None
    before: bool = False
    barred: bool = False

    @classmethod
    def of(cls, record: WindowRecord, *, skipped: bool = False, busy: str = "", preview: str = "") -> Outcome:
        """The outcome that a ledger record speaks of."""
        if busy:
            return cls(record.export, record.partition, "busy", busy, record, skipped=True, exit_code=1, retriable=True)
        detail = "already delivered; nothing to do (--again reads and delivers it anew)" if skipped else record.detail
        return cls(record.export, record.partition, record.state, detail, record, skipped=skipped, preview=preview)

    @classmethod
    def failure(cls, key: str, export: str, error: OutgateError, text: str, record: WindowRecord | None) -> Outcome:
        """The outcome of an error: what was done before it is no end of this attempt, what a rival did is."""
        if record is not None and record.state == "done" and isinstance(error, LeaseLost):
            return cls(export, key, "done", text, record, skipped=True)
        state = record.state if record and record.state != "done" else error.state
        return cls(export, key, state, text, record, exit_code=error.exit_code, retriable=error.retriable)

    @classmethod
    def untried(cls, key: str, export: str, error: OutgateError) -> Outcome:
        """The outcome of a window that was left as it is, because another could not be read for this reason."""
        text = "not tried, for the same reason"
        return cls(
            export, key, "planned", text, None, skipped=True, exit_code=error.exit_code, retriable=error.retriable,
            barred=True,
        )  # fmt: skip

    @property
    def asked(self) -> bool:
        """Whether the window is one of those that the run was for."""
        return self.late is None and not self.before

    @property
    def tried(self) -> bool:
        """Whether anything was done about it, or needed to be."""
        return not (self.barred and self.skipped)

    @property
    def good(self) -> bool:
        """Whether the window is delivered."""
        return self.state == "done"


def hidden(columns: Iterable[str], export: Export) -> set[str]:
    """Those columns of the result that are in no text for people."""
    tagged = {field.name for field in export.listed if field.personal}
    return {name for name in columns if name in tagged or PERSONAL.search(name)}


def masked_preview(shaped: Shaped, export: Export) -> str:
    """Ten rows as a Markdown table, personal data masked."""
    personal = hidden(shaped.columns, export)
    masked = [name in personal for name in shaped.columns]
    lines = ["| " + " | ".join(map(_cell, shaped.columns)) + " |", "|" + " --- |" * len(shaped.columns)]
    for row in shaped.preview():
        cells = (MASK if hide and value is not None else _cell(value) for value, hide in zip(row, masked, strict=True))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = "" if value is None else re.sub(r"\s+", " ", str(value)).replace("|", "\\|").replace("<", "&lt;")
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
