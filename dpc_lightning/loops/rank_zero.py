"""Work that rank 0 does for all ranks."""

from collections.abc import Callable
from typing import TypeVar

from lightning.pytorch import Trainer

__all__ = ["on_rank_zero"]

T = TypeVar("T")


def on_rank_zero(trainer: Trainer, work: Callable[[], T]) -> T:
    """Do something on rank 0 and give its result, or raise its error, on every rank.

    Args:
        trainer: the trainer of the run, which knows the ranks.
        work: what is done; other ranks do not call it.

    Returns:
        What `work` returned on rank 0.

    Raises:
        Exception: what `work` raised on rank 0; else the other ranks would wait for it for ever.
    """
    outcome: T | Exception | None = None
    if trainer.is_global_zero:
        try:
            outcome = work()
        except Exception as error:  # noqa: BLE001  an error on rank 0 must end the others too, not leave them waiting
            outcome = error
    outcome = trainer.strategy.broadcast(outcome)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome  # type: ignore[return-value]  # None only if `work` returns it
