"""dlt exporting the same table, run by the Python of its own virtualenv: `peer_dlt.py URL FOLDER FORMAT BACKEND [LOW
HIGH]`, with the window to read by its cursor.

Its quickest settings for one table: no normalised names, a filesystem destination, no state of a pipeline before.
"""

import os
import sys
from datetime import datetime
from typing import Any


def main() -> None:
    """Extract, normalize, load; raises when a job failed."""
    url, folder, form, backend, *edges = sys.argv[1:]
    window = [datetime.fromisoformat(edge) for edge in edges]
    os.environ |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL",
        "DESTINATION__FILESYSTEM__BUCKET_URL": f"file://{folder}/out", "DATA_WRITER__DISABLE_COMPRESSION": "false",
    }  # fmt: skip
    import dlt  # type: ignore[import-not-found, unused-ignore]
    from dlt.sources.sql_database import sql_table  # type: ignore[import-not-found, unused-ignore]

    def inside(query: Any, table: Any) -> Any:
        return query.where(table.c.updated_at >= window[0], table.c.updated_at < window[1]) if window else query

    rows = sql_table(
        credentials=url, table="rows", schema="public", backend=backend, chunk_size=100_000,
        query_adapter_callback=inside,
    )  # fmt: skip
    pipeline = dlt.pipeline("peer", destination="filesystem", dataset_name="peer", pipelines_dir=f"{folder}/state")
    pipeline.run(rows, loader_file_format=form).raise_on_failed_jobs()


if __name__ == "__main__":
    main()
