"""FTP servers as stores: FTP over TLS (`type: ftps`), and plain FTP where somebody insists (`type: ftp`).

A connection is in ftp_session.py, what refusals mean in ftp_errors.py. FTP has no rename that replaces nothing. So
workers of one delivery exclude one another by their staged files: whoever publishes first takes away what older
fences staged or hid, and only then looks; a rename of what was taken away fails.
"""

from __future__ import annotations

import codecs
import ftplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from resources.failpoint import reach
from resources.secrets import reveal_line
from resources.stores.base import Stat, Store, inside, occupied
from resources.stores.endpoints import Host
from resources.stores.ftp_errors import translated, usable_after
from resources.stores.ftp_names import beside, left, split
from resources.stores.ftp_reading import incoming
from resources.stores.ftp_session import Dial, Session, Tls
from spec.base import Misplaced
from spec.errors import ConnectorError
from spec.secrets import Secret

USUAL_PORT = 21
MINIMUM = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def known(encoding: str) -> str:
    """The name of an encoding, if there is one. Raises ValueError."""
    try:
        codecs.lookup(encoding)
    except LookupError:
        message = f"{encoding!r} is no encoding; write utf-8, latin-1 or another one that Python knows"
        raise ValueError(message) from None
    return encoding


class Server(Store):
    """What both have. In each folder `.{name}.{fence}.part` is staged, `.{name}.{fence}.gone` was published and is
    about to be removed or replaced.
    """

    scheme: ClassVar[str]

    host: Host
    port: Annotated[int, Field(ge=1, le=65535)] = USUAL_PORT
    user: str
    password: Secret
    folder: str = Field(default="", description="below the folder that the login starts in, or from / on")
    create_folders: bool = True
    passive: bool = Field(default=True, description="false: the server connects to us")
    encoding: Annotated[str, AfterValidator(known)] = "utf-8"
    server_hash: bool = Field(default=False, description="believe the server's HASH or XSHA256")
    connect_timeout: Annotated[int, Field(ge=1, description="seconds")] = 10
    idle_timeout: Annotated[int, Field(ge=1, description="seconds that the server may be silent")] = 60
    keepalive: Annotated[int, Field(ge=1, description="seconds between TCP keepalives")] = 30
    manifest_beside: bool = False

    _kept: Session | None = PrivateAttr(default=None)

    def stage(self, source: Path, name: str, fence: str) -> str:
        """Send it to a hidden name in its final folder; the server's word and the size say that it is whole."""
        token = beside(self._named(name), fence, "part")
        with self._session(f"writing {name!r}") as session:
            self._reach("stage.begun")
            self._make_folder(session, self._path(session, split(name)[0]))
            path = self._path(session, token)
            session.delete(path)  # never written over: an older connection may still be writing into it
            self._reach("stage.cleared")
            session.store(path, source)
            self._reach("stage.sent")
            there, wanted = session.size(path), source.stat().st_size
            if there != wanted:
                raise ConnectionError(f"{there} of {wanted} bytes are there")
            self._reach("stage.checked")
        return token

    def staged(self, token: str) -> bool:
        """Whether the `.part` file is there."""
        self._named(token)
        with self._session(f"looking for {token!r}") as session:
            return session.size(self._path(session, token)) is not None

    def publish(self, token: str, name: str, replaces: str | None, source: Path) -> None:  # noqa: ARG002
        """Take away what older workers left, look, and rename."""
        fence = token.removesuffix(".part").rpartition(".")[2]
        if not self.staged(token):
            raise FileNotFoundError(token)
        self._reach("publish.begun")
        listed, shown = self._exclude(token, name, fence)
        self._reach("publish.alone")
        self._refuse_stranger(name, replaces, listed=listed, shown=shown)
        self._reach("publish.looked")
        with self._session(f"publishing {name!r}") as session:
            part, final = self._path(session, token), self._path(session, name)
            try:
                session.rename(part, final)
            except ftplib.error_perm:
                if session.size(part) is None:
                    raise FileNotFoundError(token) from None
                if replaces is None or session.size(final) is None:
                    raise
                self._replace_by_hiding(session, part, final, self._path(session, beside(name, fence, "gone")))
            self._reach("publish.renamed")

    def _exclude(self, token: str, name: str, fence: str) -> tuple[bool, bool]:
        """Leave older workers nothing to rename; whether the name is taken, and whether what one hid was put back."""
        with self._session(f"looking for what older workers left of {name!r}") as session:
            found = session.names(self._path(session, split(name)[0]))
            if split(token)[1] not in found and session.size(self._path(session, token)) is None:
                raise FileNotFoundError(token)
            if split(token)[1] not in found:
                raise ConnectorError(
                    f"{self.where}: the server does not list {token!r}, which is there: names that begin with a dot "
                    "have to be listed, or two workers cannot see each other; ask the partner to switch that on"
                )
            for by in left(found, name, "part", fence) - {fence}:
                session.delete(self._path(session, beside(name, by, "part")))
                self._reach("publish.excluded")
            gone = left(found, name, "gone", fence)
            for by in gone:
                self._put_back(session, name, by)
                self._reach("publish.put_back")
        return split(name)[1] in found, bool(gone)

    def _refuse_stranger(self, name: str, known: str | None, *, listed: bool, shown: bool) -> None:
        there = self.stat(name)
        if there is None and listed:
            raise ConnectorError(
                f"{self.location(name)} is in the folder, and the server does not tell its size: it is not ours, "
                "or was taken away just now; let this user read what is there, or give the delivery another path",
                retriable=True,
            )
        if there is None or (known and (there.sha256 or self.digest(name)) == known):
            return
        if shown and known is None:
            raise ConnectorError(
                f"{self.location(name)} was hidden by a worker that is gone; look again", retriable=True
            )
        raise occupied(self.location(name))

    def _replace_by_hiding(self, session: Session, part: str, final: str, hiding: str) -> None:
        """For servers that rename over nothing: for a moment neither is seen."""
        session.rename(final, hiding)
        self._reach("publish.hidden")
        try:
            session.rename(part, final)
        except ftplib.Error:
            session.rename(hiding, final)
            raise
        self._reach("publish.replaced")
        session.delete(hiding)

    def stat(self, name: str) -> Stat | None:
        """Size; the hash where the server's is believed."""
        self._named(name)
        with self._session(f"looking for {name!r}") as session:
            path = self._path(session, name)
            size = session.size(path)
            return None if size is None else Stat(size, session.sha256(path) if self.server_hash else None)

    def sweep(self, name: str, keep: frozenset[str], fence: str) -> list[str]:
        """Remove the `.part` files of a name that this worker or an older one left, and put back what they hid."""
        self._named(name)
        with self._session(f"removing what older workers left of {name!r}") as session:
            found = session.names(self._path(session, split(name)[0]))
            for by in left(found, name, "gone", fence):
                self._put_back(session, name, by)
                self._reach("put_back")
            tokens = {beside(name, by, "part") for by in left(found, name, "part", fence)} - keep
            for token in sorted(tokens):
                session.delete(self._path(session, token))
                self._reach("swept")
        return sorted(tokens)

    def _put_back(self, session: Session, name: str, by: str) -> None:
        """Where its name is taken, what has the name came after it."""
        hiding, final = self._path(session, beside(name, by, "gone")), self._path(session, name)
        if session.size(final) is not None:
            session.delete(hiding)
            return
        try:
            session.rename(hiding, final)
        except ftplib.error_perm:
            if session.size(hiding) is not None:
                raise

    def remove(self, name: str, sha256: str, fence: str, confirm: Callable[[], None]) -> None:
        """Rename it to a hidden name, look again, and only then delete."""
        hiding = beside(self._named(name), fence, "gone")
        confirm()
        self._reach("remove.begun")
        with self._session(f"removing {name!r}") as session:
            if session.size(self._path(session, name)) is None:
                return
            session.rename(self._path(session, name), self._path(session, hiding))
        self._reach("remove.hidden")
        try:
            confirm()
            there = self.stat(hiding)
            same = there is not None and (there.sha256 or self.digest(hiding)) == sha256
        except BaseException:
            self._show_again(name, fence)
            raise
        if not same:
            self._show_again(name, fence)
            return
        self._reach("remove.known")
        with self._session(f"removing {name!r}") as session:
            session.delete(self._path(session, hiding))
        self._reach("remove.removed")

    def _show_again(self, name: str, fence: str) -> None:
        with self._session(f"putting back {name!r}") as session:
            self._put_back(session, name, fence)

    def open(self, name: str) -> BinaryIO:
        """Read it over a connection that comes back when all was read."""
        self._named(name)
        with self._session(f"reading {name!r}") as session:
            path = self._path(session, name)
            size = session.size(path)
            if size is None:
                raise FileNotFoundError(name)
            reader = incoming(session, path, size, self.where, lambda whole: self._returned(session, whole=whole))
            self._kept = None
        return reader

    def location(self, name: str) -> str:
        """The URL, without user and password."""
        port = "" if self.port == USUAL_PORT else f":{self.port}"
        below = f"{self.folder.strip('/')}/" if self.folder.strip("/") else ""
        return f"{self.scheme}://{self.host}{port}/{quote(below + self._named(name))}"

    @property
    def where(self) -> str:
        """The place as messages name it."""
        return f"{self.scheme.upper()} {self.host}:{self.port}/{self.folder.strip('/')} as {self.user!r}"

    def close(self) -> None:
        """Say goodbye."""
        kept, self._kept = self._kept, None
        if kept:
            kept.hang_up()

    def _returned(self, session: Session, *, whole: bool) -> None:
        if whole and self._kept is None:
            self._kept = session
        else:
            session.hang_up()

    def _reach(self, step: str) -> None:
        reach(f"{self.scheme}.{step}")

    @contextmanager
    def _session(self, doing: str) -> Iterator[Session]:
        """The kept connection, or a new one; one that broke is never used again."""
        with translated(self.where, doing):
            if self._kept and not self._kept.alive():
                self.close()
            if self._kept is None:
                self._kept = self._opened()
            try:
                yield self._kept
            except BaseException as error:
                if not usable_after(error):
                    self._drop()
                raise

    def _drop(self) -> None:
        kept, self._kept = self._kept, None
        if kept:
            kept.close()

    def _opened(self) -> Session:
        with translated(self.where, "connecting"):
            session = Session(self._dial())
            try:
                session.start(self.user, lambda: reveal_line(self.password))
            except BaseException:
                session.close()
                raise
        return session

    def _dial(self) -> Dial:
        return Dial(
            host=self.host,
            port=self.port,
            tls="explicit",
            context=None,
            connect_seconds=self.connect_timeout,
            idle_seconds=self.idle_timeout,
            keepalive_seconds=self.keepalive,
            passive=self.passive,
            reuse=False,
            encoding=self.encoding,
        )

    def _named(self, name: str) -> str:
        """The name, if it can be sent: a line break in it would be a command of its own."""
        inside(name, self.where)
        if any(not char.isprintable() for char in name) or any(each != each.strip() for each in name.split("/")):
            raise ConnectorError(
                f"{self.where}: {name!r} cannot be a name there: no control characters, and no spaces at its ends"
            )
        if b"\xff" in name.encode(self.encoding):
            raise ConnectorError(f"{self.where}: {name!r} cannot be sent in {self.encoding!r}; see `encoding`")
        return name

    def _path(self, session: Session, name: str) -> str:
        """Absolute."""
        above = self.folder if self.folder.startswith("/") else f"{session.home.rstrip('/')}/{self.folder}"
        return f"{above.rstrip('/')}/{name}".rstrip("/") or "/"

    def _make_folder(self, session: Session, folder: str) -> None:
        missing: list[str] = []
        while folder and not session.entered(folder):
            missing.append(folder)
            folder = folder.rpartition("/")[0]
        if missing and not self.create_folders:
            raise ConnectorError(
                f"{self.where}: there is no folder {missing[0]!r}; make it, or say `create_folders: true`"
            )
        for each in reversed(missing):
            try:
                session.mkd(each)
            except ftplib.error_perm:
                if not session.entered(each):  # somebody else made it just now
                    raise
        self._reach("folder.made")


class FTPS(Server):
    """FTP over TLS: certificates are verified, control connection and data channels are both protected."""

    scheme: ClassVar[str] = "ftps"

    type: Literal["ftps"] = "ftps"
    tls: Tls = Field(default="explicit", description="implicit: TLS from the first byte, usually on port 990")
    tls_ca: str | None = Field(default=None, description="a file of certificates; those of this machine unless said")
    tls_certificate: str | None = Field(default=None, description="a file with the client's own certificate and key")
    tls_minimum: Literal["1.2", "1.3"] = "1.2"
    tls_session_reuse: bool = True

    def _dial(self) -> Dial:
        return replace(super()._dial(), tls=self.tls, context=self._context(), reuse=self.tls_session_reuse)

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_certificate:
                context.load_cert_chain(self.tls_certificate)
        except OSError as error:
            message = (
                f"{self.where}: `tls_ca` or `tls_certificate` cannot be read as certificates: {error.strerror or error}"
            )
            raise ConnectorError(message) from None
        context.minimum_version = MINIMUM[self.tls_minimum]
        return context


class FTP(Server):
    """Plain FTP: whoever listens in between reads the password and the files, and can change them."""

    scheme: ClassVar[str] = "ftp"

    type: Literal["ftp"] = "ftp"
    allow_plaintext: bool = Field(default=False, description="plain FTP is off until this is true")

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        if not self.allow_plaintext:
            message = (
                "plain FTP sends password and files in the clear; use `type: ftps`, or say `allow_plaintext: true`"
            )
            raise Misplaced(message, "allow_plaintext")
        return self

    def warnings(self) -> list[str]:
        """That nothing is protected."""
        return [f"{self.where}: password and files travel in the clear; ask the partner for FTPS or SFTP"]
