"""Modules under the names that entries of the competition import: `evaluator.dataset` and `evaluator.exceptions`.

Only these two are known to have been public. The classes in `evaluator.dataset` are ours under the names that entries
use in annotations and checks; any further name there that begins with `ZEWDPC` is the base class (an own choice).
"""

import sys
from types import ModuleType

from dpc_lightning.starter_kit.datasets import EntryDataset, LabelledDataset, UnlabelledDataset
from dpc_lightning.starter_kit.exceptions import OutOfBudgetException, OutOfTimeException

__all__ = ["install"]


class _DatasetModule(ModuleType):
    def __getattr__(self, name: str) -> type[EntryDataset]:
        if name.startswith("ZEWDPC"):
            return EntryDataset
        msg = f"module {self.__name__!r} has no attribute {name!r}: this host knows the dataset classes only"
        raise AttributeError(msg)


def install() -> None:
    """Make `import evaluator.dataset` and `import evaluator.exceptions` work in this process.

    Example:
        >>> install()
        >>> from evaluator.exceptions import OutOfBudgetException
        >>> from evaluator.dataset import ZEWDPCProtectedDataset
    """
    package = ModuleType("evaluator")
    package.__path__ = []
    dataset = _DatasetModule("evaluator.dataset")
    vars(dataset).update(
        ZEWDPCBaseDataset=EntryDataset,
        ZEWDPCRuntimeDataset=LabelledDataset,
        ZEWDPCProtectedDataset=UnlabelledDataset,
    )
    exceptions = ModuleType("evaluator.exceptions")
    vars(exceptions).update(OutOfBudgetException=OutOfBudgetException, OutOfTimeException=OutOfTimeException)
    for name, module in (("dataset", dataset), ("exceptions", exceptions)):
        setattr(package, name, module)
        sys.modules[f"evaluator.{name}"] = module
    sys.modules["evaluator"] = package
