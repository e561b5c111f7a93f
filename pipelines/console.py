"""How the command line speaks: tables, JSON, and bars that show rows, speed and time left. No command's own work."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from assets.outcome import Outcome, Reporter

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
COLORS = {"done": "green", "failed": "red", "unknown": "red", "held": "yellow", "busy": "yellow", "planned": "cyan"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def show(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str = "nothing to show"
) -> None:
    """Rows as a table of some columns, or all of them as JSON."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=2, ensure_ascii=False, default=str))
        return
    if not rows:
        out.print(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        numeric = all(isinstance(row.get(name), int | None) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(name, row.get(name)) for name in columns))
    (out if sys.stdout.isatty() else Console(highlight=False, width=200)).print(table)


def _cell(name: str, value: Any) -> str:
    text = (
        ""
        if value is None
        else f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else escape(str(value))
    )
    color = COLORS.get(str(value)) if name == "state" else None
    return f"[{color}]{text}[/{color}]" if color else text


class Bars(Reporter):
    """A bar over the windows with rows, MB/s and time left; on a pipe, a line a window."""

    def __init__(self, title: str, total: int, *, quiet: bool = False) -> None:
        self.outcomes: list[Outcome] = []
        self._rows = self._bytes = 0
        self._live = err.is_terminal and not quiet
        self._quiet, self._title = quiet, title
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f} windows"),
            TextColumn("{task.fields[rows]:,} rows"), TextColumn("{task.fields[speed]:.1f} MB/s"), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), console=err, transient=True, disable=not self._live,
        )  # fmt: skip
        self._task: TaskID = self._progress.add_task(title, total=total, rows=0, speed=0.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def window(self, key: str, number: int, total: int) -> None:  # noqa: ARG002  (the bar counts itself)
        """Name the window that is worked on."""
        self._progress.update(self._task, description=f"{self._title} {key}")

    def read(self, rows: int, size: int) -> None:
        """Add to what came in."""
        self._rows, self._bytes = self._rows + rows, self._bytes + size
        elapsed = self._progress.tasks[0].elapsed or 1e-9
        self._progress.update(self._task, rows=self._rows, speed=self._bytes / elapsed / 1e6)

    def say(self, text: str) -> None:
        """A line above the bar."""
        if not self._quiet:
            self._progress.console.print(escape(text)) if self._live else click.echo(text, err=True)

    def done(self, outcome: Outcome) -> None:
        """Keep the outcome and move the bar."""
        self.outcomes.append(outcome)
        self._progress.update(self._task, advance=int(outcome.late is None))
        if not outcome.good and outcome.tried and not self._quiet:
            self.say(f"{outcome.key}: {outcome.state}: {outcome.detail}")
