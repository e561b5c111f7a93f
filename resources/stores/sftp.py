"""A folder of an SFTP server as a store: written under a hidden name, renamed when it is to be seen.

How a session is made is in sftp_session.py, how files travel in sftp_wire.py, what errors mean in sftp_errors.py.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, BinaryIO, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field, PrivateAttr

from resources.failpoint import reach
from resources.stores import sftp_wire as wire
from resources.stores.base import FENCE, Stat, Store, age, inside, occupied
from resources.stores.endpoints import Host
from resources.stores.sftp_errors import failed, refusal
from resources.stores.sftp_keys import pin
from resources.stores.sftp_session import Limits, Peer, Session, opened
from resources.stores.sftp_wire import Broken, Reader, Refused, Wire, mode_of, text
from spec.base import like
from spec.errors import ConnectorError
from spec.secrets import Secret

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int, Field(ge=1, le=3600, description="seconds")]
Pin = Annotated[str, AfterValidator(pin)]
Mode = Annotated[str, like(r"^0?[0-7]{3}$", '"0640": three octal digits, in quotes')]
NO_REPLACE = (
    "the server cannot put a file in the place of another in one step (it has no posix-rename@openssh.com), and the "
    "old one must be there until then: give the delivery a path that is new for each window, or remove the old file"
)


class Sftp(Store):
    """Files below `folder`, where these names are hidden: `.{name}.{fence}.part` is staged, `.{name}.{fence}.gone` was
    published and is about to be removed.
    """

    type: Literal["sftp"] = "sftp"
    host: Host
    port: Port = 22
    user: str
    password: Secret | None = None
    private_key: Secret | None = None
    passphrase: Secret | None = None
    host_key: Pin | list[Pin] = Field(default=[], description="'ssh-ed25519 AAAA...' or 'SHA256:...'")
    known_hosts: str | None = Field(default=None, description="a file of host keys, as OpenSSH keeps it")
    folder: str = Field(default=".", description="on the server; without a / before it, from where the login ends")
    create_folders: bool = True
    file_mode: Mode | None = None
    folder_mode: Mode | None = None
    verify: Literal["size", "hash"] = Field(default="size", description="hash reads every file back")
    manifest_beside: bool = False
    connect_timeout: Seconds = 10
    idle_timeout: Seconds = 60
    keepalive: Annotated[int, Field(ge=0, le=3600, description="seconds; 0 is none")] = 30
    block_size: Annotated[int, Field(ge=1024, le=wire.LARGEST, description="bytes")] | None = None
    jump_host: Host | None = None
    jump_port: Port = 22
    jump_user: str | None = None
    jump_password: Secret | None = None
    jump_private_key: Secret | None = None
    jump_passphrase: Secret | None = None
    jump_host_key: Pin | list[Pin] = Field(default=[], description="as `host_key`")
    _session: Session | None = PrivateAttr(default=None)

    def stage(self, source: Path, name: str, fence: str) -> str:
        """Write it, let the server sync it where it can, and look at its size."""
        final = inside(name, self.folder)
        token = _hidden(final, fence, "part")
        reach("sftp.stage.begins")
        with self._doing("writing", token) as line:
            handle = self._made(line, token)
            reach("sftp.stage.open")
            self._fill(line, handle, source, token)
            reach("sftp.stage.closed")
            found = line.attributes(self._at(token))
        size = source.stat().st_size
        if found is None or found.size != size:
            there = "nothing" if found is None else f"{found.size} bytes"
            raise ConnectorError(
                f"{self._where(token)}: {size} bytes were written and {there} are there; does something else write or "
                "remove files in that folder?",
                retriable=True,
            )
        reach("sftp.stage.checked")
        return token

    def _made(self, line: Wire, token: str) -> bytes:
        """The handle of a new file. One that is there is removed and never emptied: it may have a second name."""
        path, how = self._at(token), int.to_bytes(wire.NEW, 4) + mode_of(_octal(self.file_mode))
        try:
            return text(line.call(wire.OPEN, text(path), how)[1].data())
        except Refused as error:
            if error.code == wire.NO_SUCH_FILE:
                self._make_folder(line, path.rpartition("/")[0])
            elif line.attributes(path, follow=False) is None:
                raise
            else:
                self._take_away(token)
        return text(line.call(wire.OPEN, text(path), how)[1].data())

    def _make_folder(self, line: Wire, folder: str) -> None:
        if not folder or line.attributes(folder) is not None:
            return
        if not self.create_folders:
            raise refusal("looking for", self._told(folder), Refused(wire.NO_SUCH_FILE, "No such folder"))
        self._make_folder(line, folder.rpartition("/")[0])
        try:
            line.call(wire.MKDIR, text(folder), mode_of(_octal(self.folder_mode)))
        except Refused as error:
            if line.attributes(folder) is None:  # else somebody else made it
                raise refusal("making the folder", self._told(folder), error) from None
        reach("sftp.folder.made")

    def _fill(self, line: Wire, handle: bytes, source: Path, token: str) -> None:
        try:
            with source.open("rb") as file:
                line.write(handle, file, self.block_size or line.block)
            reach("sftp.stage.written")
            if self.file_mode:  # what the server took away from it by its umask
                line.call(wire.FSETSTAT, handle, mode_of(_octal(self.file_mode)))
            if wire.FSYNC in line.extensions:
                line.call(wire.EXTENDED, text(wire.FSYNC), handle)
            reach("sftp.stage.synced")
            line.call(wire.CLOSE, handle)
        except Refused as error:
            with suppress(Refused):
                line.call(wire.CLOSE, handle)
            raise refusal("writing", self._where(token), error, self._room(line, error)) from None

    def _room(self, line: Wire, error: Refused) -> str:
        """What a refusal to write may mean: most servers have no number for a full disk."""
        if error.code not in wire.FULL:
            return ""
        free = None
        if wire.ROOM in line.extensions:
            with suppress(Refused):
                found = line.call(wire.EXTENDED, text(wire.ROOM), text(self._at(".")))[1]
                _, unit, _, _, free = (found.long() for _ in range(5))
                free *= unit
        left = "" if free is None else f" ({free} bytes are free there)"
        return f"the disk or a quota is full, or the file is larger than the partner allows{left}: make room there"

    def staged(self, token: str) -> bool:
        """Whether the `.part` file is there."""
        with self._doing("looking for", token) as line:
            return _size(line, self._at(token)) is not None

    def publish(self, token: str, name: str, replaces: str | None, source: Path) -> None:
        """Rename it in one step, without replacing when nothing may be there."""
        final, size = inside(name, self.folder), source.stat().st_size
        with self._doing("publishing", name) as line:
            found = _size(line, self._at(token))
            if found is None:
                raise FileNotFoundError(self._where(token))
            if found != size:
                line.call(wire.REMOVE, text(self._at(token)))
                raise FileNotFoundError(f"{self._where(token)} has {found} bytes, not {size}")
            there = line.attributes(self._at(final), follow=False)
        reach("sftp.publish.begins")
        if there is None:
            self._publish_new(token, final)
        elif replaces is None or there.folder or self._hash(final) != replaces:
            self._refuse_stranger(token, final, source)
        else:
            self._replace(token, final)
        reach("sftp.publish.renamed")

    def _publish_new(self, token: str, final: str) -> None:
        """The rename of version 3, which fails where the name is taken."""
        with self._doing("publishing", final) as line:
            try:
                line.call(wire.RENAME, text(self._at(token)), text(self._at(final)))
            except Refused:
                if line.attributes(self._at(token), follow=False) is None:
                    raise FileNotFoundError(self._where(token)) from None
                if line.attributes(self._at(final), follow=False) is not None:
                    raise occupied(self._where(final)) from None
                raise

    def _refuse_stranger(self, token: str, final: str, source: Path) -> None:
        """Unless it is the staged file: a server that died between the two halves of a rename left both names."""
        from resources.files import sha256_of

        with self._doing("publishing", final) as line:
            same = _size(line, self._at(final)) == source.stat().st_size
        if not same or self.digest(final) != sha256_of(source):
            raise occupied(self._where(final))
        self._take_away(token)

    def _replace(self, token: str, final: str) -> None:
        with self._doing("replacing", final) as line:
            if wire.REPLACE not in line.extensions:
                raise ConnectorError(f"{self._where(final)}: {NO_REPLACE}")
            line.call(wire.EXTENDED, text(wire.REPLACE), text(self._at(token)), text(self._at(final)))

    def stat(self, name: str) -> Stat | None:
        """Size; with `verify: hash` the sha256 too, for which all of it is read."""
        final = inside(name, self.folder)
        with self._doing("looking for", name) as line:
            size = _size(line, self._at(final))
        if size is None:
            return None
        try:
            return Stat(size, self.digest(name) if self.verify == "hash" else None)
        except FileNotFoundError:
            return None

    def sweep(self, name: str, keep: frozenset[str], fence: str) -> list[str]:
        """Remove the `.part` files of a name that this worker or an older one left, and put back what they hid."""
        final = inside(name, self.folder)
        folder, _, last = final.rpartition("/")
        with self._doing("listing the folder of", name) as line:
            try:
                names = [each for each in line.listing(self._at(folder)) if each.startswith(f".{last}.g")]
            except Refused as error:
                if error.code == wire.NO_SUCH_FILE:
                    return []
                raise
        for hidden in _left(names, final, "gone", fence):
            self._put_back(hidden, final)
        gone = [token for token in _left(names, final, "part", fence) if token not in keep]
        for token in gone:
            self._take_away(token)
            reach("sftp.swept")
        return gone

    def remove(self, name: str, sha256: str, fence: str, confirm: Callable[[], None]) -> None:
        """Give it a hidden name, look again, and only then remove it."""
        final = inside(name, self.folder)
        hidden = _hidden(final, fence, "gone")
        confirm()
        reach("sftp.remove.begins")
        if self._hash(final) not in {None, sha256} or not self._hide(final, hidden):
            return
        reach("sftp.remove.hidden")
        try:
            confirm()
            same = self._hash(hidden) == sha256
        except BaseException:
            self._put_back(hidden, final)
            raise
        if same:
            self._take_away(hidden)
        else:
            self._put_back(hidden, final)
        reach("sftp.remove.done")

    def _hash(self, name: str) -> str | None:
        try:
            return self.digest(name)
        except FileNotFoundError:
            return None

    def _hide(self, final: str, hidden: str) -> bool:
        """Whether it is hidden now, by this call or by one whose answer was lost."""
        with self._doing("removing", final) as line:
            try:
                line.call(wire.RENAME, text(self._at(final)), text(self._at(hidden)))
            except Refused:
                there, ours = (line.attributes(self._at(each), follow=False) for each in (final, hidden))
                if there is None:
                    return ours is not None
                if ours is None:
                    raise
                self._take_away(hidden)
                line.call(wire.RENAME, text(self._at(final)), text(self._at(hidden)))
        return True

    def _put_back(self, hidden: str, final: str) -> None:
        """Where its name is taken, what has the name came after it."""
        with self._doing("putting back", final) as line:
            try:
                line.call(wire.RENAME, text(self._at(hidden)), text(self._at(final)))
            except Refused:
                if line.attributes(self._at(hidden), follow=False) is None:
                    return
                if line.attributes(self._at(final), follow=False) is None:
                    raise
                self._take_away(hidden)
        reach("sftp.put_back")

    def _take_away(self, name: str) -> None:
        with self._doing("removing", name) as line:
            try:
                line.call(wire.REMOVE, text(self._at(name)))
            except Refused as error:
                if error.code != wire.NO_SUCH_FILE:
                    raise

    def open(self, name: str) -> BinaryIO:
        """Open for reading; several blocks are under way at once."""
        final = inside(name, self.folder)
        with self._doing("reading", name) as line:
            try:
                flags = int.to_bytes(wire.READING, 4) + mode_of(None)
                handle = text(line.call(wire.OPEN, text(self._at(final)), flags)[1].data())
            except Refused as error:
                if error.code == wire.NO_SUCH_FILE:
                    raise FileNotFoundError(self._where(final)) from None
                raise

        def guard(step: Callable[[], bytes]) -> bytes:
            with self._doing("reading", name):
                return step()

        return io.BufferedReader(Reader(line, handle, guard), 1 << 18)

    def location(self, name: str) -> str:
        """`sftp://host:port/folder/name`; `~` is where the login ends."""
        path = self._at(name)
        return f"sftp://{self.host}:{self.port}" + quote(path if path.startswith("/") else f"/~/{path}", safe="/~")

    def close(self) -> None:
        """Hang up."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    @contextmanager
    def _doing(self, doing: str, name: str) -> Iterator[Wire]:
        """The line, opened where it is gone; what fails on it leaves as ConnectorError."""
        line = self._line()
        try:
            yield line
        except Broken as error:
            self.close()
            raise failed(f"{doing} {self._where(name)}", error) from None
        except Refused as error:
            raise refusal(doing, self._where(name), error) from None

    def _line(self) -> Wire:
        if self._session is not None and not self._session.alive():
            self.close()
        if self._session is None:
            self._session = opened(self._peer, self._jump, self._limits)
        return self._session.wire

    @property
    def _limits(self) -> Limits:
        return Limits(self.connect_timeout, self.idle_timeout, self.keepalive)

    @property
    def _peer(self) -> Peer:
        secrets = (self.password, self.private_key, self.passphrase)
        return Peer(self.host, self.port, self.user, *secrets, _list(self.host_key), self.known_hosts)

    @property
    def _jump(self) -> Peer | None:
        if self.jump_host is None:
            return None
        secrets = (self.jump_password, self.jump_private_key, self.jump_passphrase)
        keys, user = _list(self.jump_host_key), self.jump_user or self.user
        return Peer(self.jump_host, self.jump_port, user, *secrets, keys, self.known_hosts)

    def _at(self, name: str) -> str:
        folder = self.folder.rstrip("/") + "/" if self.folder != "." else ""
        return f"{folder}{name}" or "."

    def _told(self, path: str) -> str:
        return f"{self.host}:{path}"

    def _where(self, name: str) -> str:
        return self._told(self._at(name))


def _hidden(final: str, fence: str, kind: str) -> str:
    folder, slash, last = final.rpartition("/")
    return f"{folder}{slash}.{last}.{fence}.{kind}"


def _left(names: list[str], final: str, kind: str, fence: str) -> list[str]:
    """The hidden names of a file that this worker or an older one left."""
    folder, slash, last = final.rpartition("/")
    begin, end = f".{last}.", f".{kind}"
    fences = {name: name[len(begin) : -len(end)] for name in names if name.startswith(begin) and name.endswith(end)}
    return [f"{folder}{slash}{name}" for name, by in fences.items() if FENCE.fullmatch(by) and age(by) <= age(fence)]


def _size(line: Wire, path: str) -> int | None:
    """The bytes of a file; None where there is none, or a folder."""
    found = line.attributes(path)
    return None if found is None or found.folder else found.size


def _octal(mode: str | None) -> int | None:
    return None if mode is None else int(mode, 8)


def _list(said: str | list[str]) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)
