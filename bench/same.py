"""Whether delivered files hold the rows that PostgreSQL's own COPY gives: all of them, whole, each once.

Rows are compared typed, by their number and the sum of their hashes; what a format spells in its own way is one value
here. A peer that cannot tell '' from NULL is told apart from one whose rows are wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from bench.rows import COLUMNS

TYPES = {
    "id": "BIGINT", "customer_id": "INT", "points": "DECIMAL(12,2)", "score": "DOUBLE", "visits": "SMALLINT",
    "active": "BOOLEAN", "day": "DATE", "occurred_at": "TIMESTAMPTZ", "updated_at": "TIMESTAMPTZ",
}  # fmt: skip
NAMES = COLUMNS.split(", ")
READERS = {
    ".gz": "read_csv({files}, all_varchar = true, header = true, nullstr = '', allow_quoted_nulls = false, "
    "quote = '\"', escape = '\"', delim = ',', compression = 'gzip', max_line_size = 4000000)",
    ".csv": "read_csv({files}, all_varchar = true, header = true, nullstr = '', allow_quoted_nulls = false)",
    ".ndjson.gz": "read_json({files}, format = 'newline_delimited', compression = 'gzip', columns = {columns})",
    ".parquet": "read_parquet({files})",
}
"""By the ending of a file's name, the longest first."""
EXACT, BLANK = "as COPY's", "as COPY's, but for '' and NULL"
Sums = dict[str, tuple[int, ...]]
"""By EXACT and BLANK: the number of rows, the sum of their hashes, and that of each column's."""


def sums(files: Sequence[Path]) -> Sums:
    """What the rows of all the files, of one kind, come to: as they are, and with '' as NULL."""
    ending = max((each for each in READERS if files[0].name.endswith(each)), key=len)
    columns = "{" + ", ".join(f"{name}: 'VARCHAR'" for name in NAMES) + "}"
    reader = READERS[ending].format(files=[*map(str, files)], columns=columns)
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {
            each: connection.sql(f"SELECT count(*), {_hashes(blank=each == BLANK)} FROM {reader}").fetchall()[0]
            for each in (EXACT, BLANK)
        }


def _hashes(*, blank: bool) -> str:
    cells = [_cell(name, blank=blank) for name in NAMES]
    return ", ".join(f"sum(CAST(hash({each}) AS HUGEINT))" for each in (f"row({', '.join(cells)})", *cells))


def _cell(name: str, *, blank: bool) -> str:
    value = f"CAST({name} AS VARCHAR)"
    if name == "payload":  # jsonb has no spelling and no order of its own: its members count
        return f"row(json({value}) ->> '$.device', json({value}) ->> '$.campaign')"
    if kind := TYPES.get(name):
        return f"CAST(replace({value}, ' +00', '+00') AS {kind})"
    return f"nullif({value}, '')" if blank else value


def verdict(found: Sums, limit: Sums) -> tuple[bool, str]:
    """Whether the rows count as those of the limit, and how they compare."""
    for each in (EXACT, BLANK):
        if found[each][:2] == limit[each][:2]:
            return True, each
    count, _, *columns = found[BLANK]
    wrong = [name for name, one, other in zip(NAMES, columns, limit[BLANK][2:], strict=True) if one != other]
    return False, f"OTHERS: {count:,} rows, not equal in {', '.join(wrong) or 'their order'}; does not count"
