"""A stream: the rows of a reading on their way, straight into the part of their window, or into a file.

A thread asks the source and checks each batch, a short queue holds what came, and DuckDB takes it as it shapes, or a
file does. It can be taken once; which readings go through a file is the table here. What is asked, and every guard, is
extract's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread

import pyarrow as pa
import pyarrow.parquet as pq

from assets.extract import Ids, Progress, Reading, arrow_schema, checked
from assets.horizon import Horizon
from assets.late import is_kept
from assets.plan import Plan, key_columns
from assets.seen import passing_keys
from assets.windows import Window
from resources.databases.base import Query
from resources.failpoint import reach
from spec.errors import OutgateError

EXTRACT = "extract.parquet"
QUEUED = 2
"""Batches, of about 4 MiB each, that may wait for whoever takes them."""
PATIENCE = 0.2
"""Seconds after which whoever waits at the queue looks whether the stream was left."""
FAREWELL = 10
"""Seconds that a source has to end when its stream is left; one that hangs longer ends with the process."""
Batches = Generator[pa.RecordBatch]


@dataclass(frozen=True)
class Asked:
    """A window, the span that would be read for it, and the horizon it is read behind.

    `carried` says that late rows are carried into it or out of it.
    """

    plan: Plan
    window: Window
    span: Window
    horizon: Horizon
    carried: bool = False


DETOURS: tuple[tuple[str, Callable[[Asked], bool]], ...] = (
    ("several windows are cut out of one reading", lambda asked: asked.span != asked.window),
    ("late rows are carried into the window or out of it", lambda asked: asked.carried),
    ("each delivery passes over the rows", lambda asked: len(asked.plan.export.deliver) > 1),
    ("`transform:` wants a table", lambda asked: asked.plan.export.transform is not None),
    ("all rows are compared with what was delivered", lambda asked: asked.plan.export.changes is not None),
    ("rows are checked before they leave", lambda asked: asked.plan.export.checks_rows),
    ("the preview of groups needs all rows", lambda asked: asked.plan.export.aggregated),
)
"""What makes a reading go through a file: its rows are needed more than once."""


def detour(asked: Asked) -> str:
    """Why a reading goes through a file; "" for one that streams."""
    return next((why for why, holds in DETOURS if holds(asked)), "")


def begin(asked: Asked, ids: Ids | None, folder: Path, progress: Progress) -> Reading:
    """A reading whose rows are still to come; the keys that a sweep needs are written as they pass."""
    plan, columns = asked.plan, asked.plan.relation.columns

    def passing() -> Batches:
        batches = checked(plan, asked.span, ids)
        keeps = is_kept(plan, asked.window, asked.horizon)
        return passing_keys(batches, key_columns(plan), folder) if keeps else batches

    return Reading(folder / EXTRACT, columns, asked.horizon, stream=Stream(arrow_schema(columns), passing, progress))


def read(
    plan: Plan, span: Window, ids: Ids | None, horizon: Horizon, folder: Path, progress: Progress,
    also: Sequence[Query] = (),
) -> Reading:  # fmt: skip
    """Read `span` (one window, or several neighbours) into a file, and what `also` asks for in the same snapshot.

    Raises RowsRefused and ConnectorError.
    """
    path, schema = folder / EXTRACT, arrow_schema(plan.relation.columns)
    stream = Stream(schema, lambda: checked(plan, span, ids, also), progress, "extract.written")
    with closing(stream), stream.whole(), _written(path, schema) as writer:
        for batch in stream.told(stream.taken):
            writer.write_batch(batch)
    return Reading(path, plan.relation.columns, horizon, stream.rows)


def _written(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Without dictionaries: three fifths of the time and of the size where most values of a column differ."""
    return pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, use_dictionary=False, write_statistics=counted(schema)
    )


def counted(schema: pa.Schema) -> list[str]:
    """The columns whose statistics may be written. Those of floats leave NaN out, and DuckDB takes them for the whole
    truth: with a highest value that is finite it finds no NaN, and skips the rows that have one.
    """
    return [
        field.name for field in schema if not pa.types.is_nested(field.type) and not pa.types.is_floating(field.type)
    ]


class Stream:
    """The rows of one reading, `taken` once, one batch after the other.

    `rows` were taken so far; `head` is the first batch, for the preview; `end` is the failpoint after the last one.
    """

    def __init__(
        self, schema: pa.Schema, read: Callable[[], Batches], progress: Progress, end: str = "extract.streamed"
    ) -> None:
        self._end = end
        self.schema, self.rows, self.head = schema, 0, pa.Table.from_batches([], schema)
        self._read, self._progress = read, progress
        self._queue: Queue[pa.RecordBatch | None] = Queue(QUEUED)
        self._error: BaseException | None = None
        self._over, self._left = False, Event()
        self._news: deque[tuple[int, int]] = deque()
        self._thread = Thread(target=self._fill, name="outgate-reading", daemon=True)
        self.taken = self._watched()

    def reader(self) -> pa.RecordBatchReader:
        """What DuckDB scans. The source is asked when the first batch is."""
        return pa.RecordBatchReader.from_batches(self.schema, self.taken)

    def told(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same shaped batches; between them, progress is told in the caller's thread."""
        for batch in batches:
            self._tell()
            yield batch
        self._tell()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Whatever is made of the rows inside counts only when all of them came.

        An error of the source is raised here as it was, whatever DuckDB made of it, also where it made an end of it.
        """
        try:
            yield
        except Exception:
            self._refuse_error()
            raise
        if self._thread.ident is None:  # a shape that can have no rows, as of an empty range of ids, takes none
            deque(self.taken, maxlen=0)
        self._refuse_error()
        if not self._over:
            raise OutgateError(f"only {self.rows} rows were taken from the source, and there are more: report it")
        reach(self._end)

    def close(self) -> None:
        """Leave the stream, wherever it is: the source's transaction ends."""
        self._left.set()
        if self._thread.is_alive():
            self._thread.join(FAREWELL)

    def _refuse_error(self) -> None:
        if self._error is not None:
            raise self._error from None

    def _tell(self) -> None:
        while self._news:
            reach("extract.batch")
            self._progress(*self._news.popleft())

    def _fill(self) -> None:
        try:
            with closing(self._read()) as batches:
                for batch in batches:
                    if not self._put(batch):
                        return
        except BaseException as error:  # noqa: BLE001  (raised where the rows are wanted)
            self._error = error
        self._put(None)

    def _put(self, batch: pa.RecordBatch | None) -> bool:
        while not self._left.is_set():
            try:
                self._queue.put(batch, timeout=PATIENCE)
            except Full:
                continue
            return True
        return False

    def _watched(self) -> Batches:
        """Run by whichever thread of DuckDB wants a batch, also by the main one, where Ctrl-C strikes."""
        try:
            yield from self._take()
        except KeyboardInterrupt as interrupt:
            self._error = interrupt
            raise

    def _take(self) -> Batches:
        self._thread.start()
        while (batch := self._get()) is not None:
            if not self.rows:
                self.head = pa.Table.from_batches([batch])
            self.rows += batch.num_rows
            self._news.append((batch.num_rows, batch.nbytes))
            yield batch
        if self._error is not None:
            raise OSError("the source broke off")
        self._over = True

    def _get(self) -> pa.RecordBatch | None:
        while not self._left.is_set():
            try:
                return self._queue.get(timeout=PATIENCE)
            except Empty:
                continue
        raise OSError("the stream was left")
