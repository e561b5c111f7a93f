"""Load: sealed parts reach one store. Stage, record, publish, record, read back, record: each step can be repeated.

A retry never reads the source again. What a destination already has is asked of the destination, never guessed. The
order of the writes is the promise: `uploaded` is in the ledger before the first name appears.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from time import sleep
from typing import TypeVar

from resources.failpoint import reach
from resources.ledger import Artifact, Delivery, Lease, Ledger
from resources.spool import Spool
from resources.stores.base import Stat, Store
from spec.errors import ConnectorError, LeaseLost, OutgateError

ORDER = ("part", "manifest", "done_file")
ROUNDS = 3
"""How often a delivery whose staged files vanished is staged again before it fails."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the second try of a step, and the most between two."""

Record = Callable[[], Delivery]
T = TypeVar("T")


@dataclass(frozen=True)
class Loading:
    """One delivery of one window, and everybody who takes part in it."""

    store: Store
    ledger: Ledger
    spool: Spool
    lease: Lease
    record: Record
    collects: bool
    replaces: bool
    """Whether a newer window may take the place of an older one's files: so it is with snapshots of one name."""
    progress: Callable[[int, int], None]
    doubtful: set[tuple[str, int]] = field(default_factory=set)
    """Artifacts that this worker has tried to publish without learning what came of it."""

    def run(self) -> None:
        """Drive the delivery from wherever the ledger says it is to done."""
        try:
            self._rounds()
        finally:
            self.store.close()

    def _rounds(self) -> None:
        for _ in range(ROUNDS):
            if self._round():
                return
        raise self._vanishing()

    def _vanishing(self) -> ConnectorError:
        name = self.record().name
        return ConnectorError(
            f"delivery {name!r}: what was written there is gone again after {ROUNDS} tries; does something remove it?"
        )

    def _round(self) -> bool:
        """One pass over the steps that are left; False when it has to begin again with staging."""
        steps = {"sealed": self._upload, "uploaded": self._publish, "published": self._verify}
        delivery = self.record()
        while (step := steps.get(delivery.reached)) is not None:
            if not step(delivery):
                self.ledger.restage(self.lease, delivery.name, "a staged or published file is gone")
                return False
            delivery = self.record()
        return True

    def _upload(self, delivery: Delivery) -> bool:
        tokens: dict[tuple[str, int], str] = {}
        for artifact in ordered(delivery.artifacts):
            self._refuse_older(delivery, artifact)
            source = self.spool.sealed(artifact)
            self.ledger.check(self.lease)
            token = self._patiently(partial(self.store.stage, source, artifact.name, self._fence))
            reach("load.staged")
            tokens[artifact.kind, artifact.number] = token
            self._patiently(partial(self._sweep, artifact.name, token))
            reach("load.swept")
            self.progress(artifact.rows, artifact.bytes)
        self.ledger.uploaded(self.lease, delivery.name, tokens)
        return True

    def _sweep(self, name: str, token: str) -> None:
        """Remove what older workers staged; one that was overtaken while it staged takes its own away."""
        try:
            self.ledger.check(self.lease)
        except LeaseLost:
            self.store.sweep(name, frozenset(), self._fence)
            raise
        self.store.sweep(name, frozenset({token}), self._fence)

    def _patiently(self, step: Callable[[], T]) -> T:
        """Take a step again, after twice as long each time, while it fails for a reason that may pass."""
        for number in range(self.store.attempts - 1):
            try:
                return step()
            except ConnectorError as error:
                if not error.retriable:
                    raise
                sleep(min(FIRST_WAIT * 2**number, LONGEST_WAIT))
                self.ledger.check(self.lease)
        return step()

    @property
    def _fence(self) -> str:
        return f"g{self.lease.generation}-f{self.lease.fence}"

    def _refuse_older(self, delivery: Delivery, artifact: Artifact) -> None:
        """An older snapshot never takes the place of a newer one that has its name."""
        newer = self.ledger.taken_by(self.lease.window_id, delivery.name, artifact.name) if self.replaces else None
        if newer is not None:
            raise OutgateError(
                f"{artifact.name!r} holds the newer window {newer!r} by now; the older one is not written over it"
            )

    def _publish(self, delivery: Delivery) -> bool:
        for artifact in ordered(delivery.artifacts):
            self.ledger.check(self.lease)
            if not self._published(delivery, artifact):
                return False
            reach("load.published_one")
        self.ledger.published(self.lease, delivery.name)
        return True

    def _published(self, delivery: Delivery, artifact: Artifact) -> bool:
        """Publish one; where the partner collects, what was staged of it and is gone is staged again, of it alone: the
        others may have been taken by now.
        """
        for _ in range(ROUNDS):
            if self._patiently(partial(self._publish_one, delivery, artifact)):
                return True
            if not self.collects:
                return False
            artifact = self._stage_again(delivery, artifact)
        raise self._vanishing()

    def _stage_again(self, delivery: Delivery, artifact: Artifact) -> Artifact:
        source = self.spool.sealed(artifact)
        self.ledger.check(self.lease)
        token = self._patiently(partial(self.store.stage, source, artifact.name, self._fence))
        reach("load.staged_again")
        self.ledger.staged_again(self.lease, delivery.name, artifact.kind, artifact.number, token)
        self.doubtful.discard((artifact.kind, artifact.number))
        return replace(artifact, token=token, attempted=False)

    def _publish_one(self, delivery: Delivery, artifact: Artifact) -> bool:
        self._refuse_older(delivery, artifact)
        there = self._there(artifact.name)
        token, which = artifact.token or "", (artifact.kind, artifact.number)
        attempted = artifact.attempted or which in self.doubtful
        if there and _same(there, artifact):
            self.store.sweep(artifact.name, frozenset(), self._fence)
            return True
        if not self.store.staged(token):
            return self.collects and attempted and there is None
        if self.collects:
            self.ledger.publishing(self.lease, delivery.name, *which)
        try:
            source = self.spool.root / artifact.path
            self.store.publish(token, artifact.name, self._replaced(delivery, artifact, there), source)
        except FileNotFoundError:
            self.ledger.check(self.lease)  # somebody else published or removed it: are we still the one to do this?
            return False
        except ConnectorError as error:
            if error.retriable:
                self.doubtful.add(which)
            elif self.collects and not attempted:
                self.ledger.publishing(self.lease, delivery.name, *which, begun=False)
            raise
        return True

    def _there(self, name: str) -> Stat | None:
        """What has the name already; it is read where the store does not know its hash: a size is no proof."""
        there = self.store.stat(name)
        try:
            return Stat(there.bytes, self.store.digest(name)) if there and there.sha256 is None else there
        except FileNotFoundError:  # taken just now
            return None

    def _replaced(self, delivery: Delivery, artifact: Artifact, there: Stat | None) -> str | None:
        """What may be replaced: only what the ledger knows to be our own."""
        if there is None:
            return None
        known = self.ledger.written(self.lease, delivery.name, artifact.name, any_window=self.replaces)
        return there.sha256 if there.sha256 in known else None

    def _verify(self, delivery: Delivery) -> bool:
        for artifact in delivery.artifacts:
            there = self._patiently(partial(self.store.stat, artifact.name))
            if there is None and not self.collects:
                return False
            if there and not _same(there, artifact):
                where = self.store.location(artifact.name)
                message = f"{where} is not what was delivered ({there.bytes} bytes); who changed it?"
                raise ConnectorError(message)
        reach("load.verified")
        self._remove_surplus(delivery)
        self.ledger.close(self.lease, delivery.name, self._receipt(delivery))
        return True

    def _remove_surplus(self, delivery: Delivery) -> None:
        """Files of the generation before that this one does not replace, if they are still what we wrote."""
        names = {artifact.name for artifact in delivery.artifacts}
        for old in self.ledger.older_generations(self.lease):
            if old.delivery == delivery.name and old.name not in names:
                self._patiently(partial(self._remove_old, old))

    def _remove_old(self, old: Artifact) -> None:
        self.store.sweep(old.name, frozenset(), self._fence)
        there = self.store.stat(old.name)
        if there and _same(there, old):
            reach("load.surplus_found")
            self.store.remove(old.name, old.sha256, self._fence, lambda: self.ledger.check(self.lease))
            reach("load.surplus_removed")

    def _receipt(self, delivery: Delivery) -> dict[str, object]:
        parts = [artifact for artifact in ordered(delivery.artifacts) if artifact.kind == "part"]
        return {
            "rows": sum(part.rows for part in parts),
            "bytes": sum(part.bytes for part in parts),
            "parts": [
                {
                    "name": part.name,
                    "location": self.store.location(part.name),
                    "rows": part.rows,
                    "bytes": part.bytes,
                    "sha256": part.sha256,
                }
                for part in parts
            ],
        }


def ordered(artifacts: tuple[Artifact, ...]) -> list[Artifact]:
    """Parts first, then the manifest, then the done file: each says that what comes before it is complete."""
    return sorted(artifacts, key=lambda artifact: (ORDER.index(artifact.kind), artifact.number))


def _same(there: Stat, artifact: Artifact) -> bool:
    return there.bytes == artifact.bytes and there.sha256 in {artifact.sha256, None}
