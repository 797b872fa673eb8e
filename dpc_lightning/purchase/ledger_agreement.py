"""Whether a ledger belongs to the data and the budget that it is opened with."""

from collections.abc import Callable
from typing import Any, Final

from dpc_lightning.errors import LedgerError
from dpc_lightning.purchase.ledger_input import Settings
from dpc_lightning.purchase.ledger_view import LedgerView

__all__ = ["check_agreement", "known_pool"]

_OTHER_POOL: Final = "Give another `--run_dir` for other data, or the data that this run was started with."


def known_pool(ledger: LedgerView) -> dict[str, Any]:
    """Give size and fingerprint of the pool as last recorded: `pool_size` and `fingerprint`."""
    return (ledger.events("created") + ledger.events("pool"))[-1]


def check_agreement(ledger: LedgerView, settings: Settings, fingerprint: Callable[[int], str]) -> None:
    """Refuse a ledger of other classes, of another pool, or with more purchases than the budget.

    Args:
        ledger: found whole.
        settings: what it is opened with.
        fingerprint: gives a fingerprint of the first images of the pool.

    Raises:
        LedgerError: saying what differs.
    """
    known, recorded, rows = known_pool(ledger), ledger.classes, ledger.rows
    size, first = settings.pool_size, int(known["pool_size"])
    if recorded != settings.classes:
        found = list(settings.classes)
        msg = f"Ledger {ledger.path} is for the classes {list(recorded)}, but the data has {found}. {_OTHER_POOL}"
        raise LedgerError(msg)
    if size < first:
        msg = f"Ledger {ledger.path} is for a pool of {first} images, but the pool has {size}. {_OTHER_POOL}"
        raise LedgerError(msg)
    if fingerprint(first) != known["fingerprint"]:
        msg = (
            f"Ledger {ledger.path} is for another pool: the fingerprint of its first {first} images is "
            f"{known['fingerprint']}, but that of this pool's is {fingerprint(first)}. {_OTHER_POOL}"
        )
        raise LedgerError(msg)
    if settings.budget < rows:
        msg = (
            f"Ledger {ledger.path} holds {rows} purchases, but the label budget is {settings.budget}: "
            f"set `purchase.labels` to {rows} or more."
        )
        raise LedgerError(msg)
