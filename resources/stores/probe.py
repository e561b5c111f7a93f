"""A probe on the way of a file: what `outgate check --connect` does with a store, whichever it is.

Connecting and logging in happen in the first step, and a store's own error says what failed there.
"""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from spec.errors import ConnectorError

if TYPE_CHECKING:
    from resources.stores.base import Store

FENCE = "g0-f0"
CONTENT = b"outgate probe\n"


def probe(store: Store) -> list[str]:
    """Stage, publish, stat, read back and remove a small file; the first step that fails, as one sentence."""
    with tempfile.TemporaryDirectory(prefix="outgate-probe-") as folder:
        source = Path(folder) / "probe"
        source.write_bytes(CONTENT)
        try:
            return _walk(store, source, f".outgate-probe-{uuid.uuid4().hex[:12]}")
        finally:
            store.close()


def _walk(store: Store, source: Path, name: str) -> list[str]:
    known = hashlib.sha256(CONTENT).hexdigest()
    step = "writing a probe"
    try:
        token = store.stage(source, name, FENCE)
        step = "giving the probe its name"
        store.publish(token, name, None, source)
        step = "reading the probe back"
        if store.stat(name) is None or store.digest(name) != known:
            return [f"{step}: it is not there as it was written; does something else write or remove files there?"]
        step = "removing the probe"
        store.remove(name, known, FENCE, lambda: None)
    except ConnectorError as error:
        return [f"{step}: {error}"]
    except FileNotFoundError:
        return [f"{step}: it is gone; does something remove files there?"]
    return []
