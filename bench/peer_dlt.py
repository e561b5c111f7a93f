"""dlt exporting the same table, run by the Python of its own virtualenv: `peer_dlt.py URL FOLDER FORMAT BACKEND`.

Its quickest settings for one full table: no normalised names, a filesystem destination, no state of a pipeline before.
"""

import os
import sys


def main() -> None:
    """Extract, normalize, load; raises when a job failed."""
    url, folder, form, backend = sys.argv[1:]
    os.environ |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL",
        "DESTINATION__FILESYSTEM__BUCKET_URL": f"file://{folder}/out", "DATA_WRITER__DISABLE_COMPRESSION": "false",
    }  # fmt: skip
    import dlt  # type: ignore[import-not-found, unused-ignore]
    from dlt.sources.sql_database import sql_table  # type: ignore[import-not-found, unused-ignore]

    rows = sql_table(credentials=url, table="rows", schema="public", backend=backend, chunk_size=100_000)
    pipeline = dlt.pipeline("peer", destination="filesystem", dataset_name="peer", pipelines_dir=f"{folder}/state")
    pipeline.run(rows, loader_file_format=form).raise_on_failed_jobs()


if __name__ == "__main__":
    main()
