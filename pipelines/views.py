"""The ledger's records as rows of plain data: what `history` shows, and what `--json` promises. No printing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from resources.ledger import Delivery, Window


def history_rows(windows: Iterable[Window]) -> list[dict[str, Any]]:
    """One entry a window and delivery; a window that failed before it had anything to deliver has one too."""
    return [_row(window, delivery) for window in windows for delivery in window.deliveries]


def _row(window: Window, delivery: Delivery) -> dict[str, Any]:
    receipt: dict[str, Any] = delivery.receipt or {}
    parts = receipt.get("parts") or [
        {"name": each.name, "location": None, "rows": each.rows, "bytes": each.bytes, "sha256": each.sha256}
        for each in delivery.artifacts
        if each.kind == "part"
    ]
    sealed = delivery.reached != "planned"
    return {
        "export": window.export, "partition": window.partition, "generation": window.generation,
        "delivery": delivery.name,
        "state": delivery.state if sealed else window.state,
        "rows": sum(part["rows"] for part in parts) if sealed else None,
        "bytes": sum(part["bytes"] for part in parts) if sealed else None,
        "horizon": (window.horizon or {}).get("kind"),
        "parts": parts,
        "started_at": _time(window.started_at), "finished_at": _time(window.finished_at),
        "detail": delivery.detail or _of_all(window, delivery) or _late(window),
    } | {name: value for name, value in (window.horizon or {}).items() if name == "dates"}  # fmt: skip


def _of_all(window: Window, delivery: Delivery) -> str:
    """What stopped the window as a whole: not the error of one delivery, and nothing to one that is done."""
    own = delivery.reached == "done" or any(each.detail == window.detail for each in window.deliveries)
    return "" if own else window.detail


def _late(window: Window) -> str:
    found: dict[str, Any] = window.horizon or {}
    rows, carried = found.get("late"), found.get("carried", {})
    said = [f"delivered again with {rows} late rows"] if rows else []
    said += [f"with {rows} late rows of {partition}" for partition, rows in carried.items()]
    if told := found.get("changes"):
        counts = ", ".join(f"{rows} {name}" for name, rows in told.items() if name != "since")
        said.append(f"{counts} since {told['since'] or 'nothing'}")
    return "; ".join(said)


def _time(moment: Any) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
