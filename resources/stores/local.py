"""A folder on this machine (or a mounted share that has atomic renames) as a store."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar, Literal

from pydantic import Field

from resources.failpoint import reach
from resources.files import fsync_folder, rename_new
from resources.stores.base import FENCE, Stat, Store, age, inside, occupied
from spec.errors import ConnectorError

ADVICE = {
    errno.ENOSPC: "; make room there",
    errno.EDQUOT: "; a quota is reached",
    errno.EACCES: "; give this user the right to write",
}


class Local(Store):
    """Files below `path`, in whose folders these names are invisible to `*`: `.{name}.{fence}.part` is staged,
    `.{name}.{fence}.gone` was published and is about to be removed.
    """

    reads_to_stat: ClassVar[bool] = True
    type: Literal["local"] = "local"
    path: str
    attempts: Annotated[int, Field(ge=1, le=20)] = 1

    def stage(self, source: Path, name: str, fence: str) -> str:
        """Copy and fsync, the file and then its name."""
        final = self._file(name)
        staged = final.with_name(f".{final.name}.{fence}.part")
        with _refusals(f"writing {name!r}"):
            self._make_folder(final.parent)
            with source.open("rb") as reader, staged.open("wb") as writer:
                reach("local.stage.open")
                shutil.copyfileobj(reader, writer, 1 << 20)
                writer.flush()
                reach("local.stage.written")
                os.fsync(writer.fileno())
                reach("local.stage.synced")
            fsync_folder(final.parent)
            reach("local.stage.named")
        return str(staged.relative_to(self._root))

    def staged(self, token: str) -> bool:
        """Whether the `.part` file is there."""
        with _refusals(f"looking for {token!r}"):
            return self._file(token).is_file()

    def publish(self, token: str, name: str, replaces: str | None, source: Path) -> None:  # noqa: ARG002
        """Rename in one step, without replacing when nothing may be there, and fsync the folder."""
        staged, final = self._file(token), self._file(name)
        reach("local.publish.begins")
        with _refusals(f"publishing {name!r}"):
            if replaces is None:
                self._publish_new(staged, final)
            else:
                self._refuse_stranger(name, replaces)
                staged.replace(final)
            reach("local.publish.renamed")
            fsync_folder(final.parent)
            reach("local.publish.synced")

    @staticmethod
    def _publish_new(staged: Path, final: Path) -> None:
        try:
            rename_new(staged, final)
        except FileExistsError:
            raise occupied(str(final)) from None

    def _refuse_stranger(self, name: str, known: str) -> None:
        there = self.stat(name)
        if there and there.sha256 != known:
            raise occupied(self.location(name))

    def stat(self, name: str) -> Stat | None:
        """Size and sha256, read back from the disk."""
        file = self._file(name)
        with _refusals(f"reading {name!r}"):
            if not file.is_file():
                return None
            with file.open("rb") as reader:
                return Stat(file.stat().st_size, hashlib.file_digest(reader, "sha256").hexdigest())

    def sweep(self, name: str, keep: frozenset[str], fence: str) -> list[str]:
        """Remove the `.part` files of a name that this worker or an older one left, and put back what they hid."""
        final = self._file(name)
        with _refusals(f"removing what older workers left of {name!r}"):
            for path in self._left(final, "gone", fence):
                self._put_back(path, final)
                reach("local.put_back")
            staged = {str(path.relative_to(self._root)): path for path in self._left(final, "part", fence)}
            gone = [token for token in staged if token not in keep]
            for token in gone:
                staged[token].unlink(missing_ok=True)
                reach("local.swept")
        return gone

    @staticmethod
    def _left(final: Path, kind: str, fence: str) -> list[Path]:
        begin, end = f".{final.name}.", f".{kind}"
        found = final.parent.glob(f"{_escaped(begin)}g*{end}")
        fences = {path: path.name[len(begin) : -len(end)] for path in found if path.is_file()}
        return [path for path, by in fences.items() if FENCE.fullmatch(by) and age(by) <= age(fence)]

    def remove(self, name: str, sha256: str, fence: str, confirm: Callable[[], None]) -> None:
        """Rename it to a hidden name, look again, and only then unlink."""
        final = self._file(name)
        hidden = final.with_name(f".{final.name}.{fence}.gone")
        confirm()
        reach("local.remove.begins")
        with _refusals(f"removing {name!r}"):
            try:
                final.rename(hidden)
            except FileNotFoundError:
                return
            reach("local.remove.hidden")
            try:
                confirm()
                wanted = self.stat(str(hidden.relative_to(self._root)))
                if wanted is None or wanted.sha256 != sha256:
                    self._put_back(hidden, final)
            except BaseException:
                self._put_back(hidden, final)
                raise
            hidden.unlink(missing_ok=True)
            fsync_folder(final.parent)

    @staticmethod
    def _put_back(hidden: Path, final: Path) -> None:
        """Where its name is taken, what has the name came after it."""
        with suppress(FileNotFoundError):
            try:
                rename_new(hidden, final)
            except FileExistsError:
                hidden.unlink(missing_ok=True)
        fsync_folder(final.parent)

    def open(self, name: str) -> BinaryIO:
        """Open for reading."""
        with _refusals(f"reading {name!r}"):
            return self._file(name).open("rb")

    def location(self, name: str) -> str:
        """The absolute path."""
        return str(self._file(name))

    @property
    def _root(self) -> Path:
        return Path(self.path).absolute()

    def _file(self, name: str) -> Path:
        return self._root / inside(name, str(self._root))

    @staticmethod
    def _make_folder(folder: Path) -> None:
        """Make the folder and make its name durable in the one above."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        reach("local.folder.made")
        for each in missing:
            fsync_folder(each.parent)


def _escaped(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


class _refusals:  # noqa: N801  (used like a function)
    """Turn the system's refusals into ConnectorError; a missing file stays FileNotFoundError."""

    def __init__(self, doing: str) -> None:
        self.doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            message = (
                f"{self.doing} in the local folder failed: {error.strerror or error}{ADVICE.get(error.errno or 0, '')}"
            )
            raise ConnectorError(message, retriable=True) from None
