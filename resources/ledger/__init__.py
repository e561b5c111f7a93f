"""The ledger: what was promised, what was done, and who may take the next step. Its face is `Ledger` and the records.

Nothing outside this package touches the ledger's database.
"""

from resources.ledger.ledger import Ledger
from resources.ledger.records import (
    Acquired,
    Artifact,
    Base,
    Carried,
    Delivery,
    Event,
    IdPosition,
    Lease,
    Order,
    Ownership,
    QuotaRow,
    Window,
    WindowSpec,
)

__all__ = [
    "Acquired",
    "Artifact",
    "Base",
    "Carried",
    "Delivery",
    "Event",
    "IdPosition",
    "Lease",
    "Ledger",
    "Order",
    "Ownership",
    "QuotaRow",
    "Window",
    "WindowSpec",
]
