"""Every error that this package raises on purpose.

```
DpcError
├── ConfigError       a setting is wrong; the message names the YAML key        (also a ValueError)
├── DataError         a file, a row or an image is wrong; names file and row    (also a ValueError)
├── RunDirError       the folder of a run cannot be used                        (also an OSError)
├── PurchaseError     a purchase was refused; nothing was charged or written
│   ├── BudgetExceededError    more labels than are left
│   ├── InvalidIndexError      unknown, negative, fractional or repeated indices
│   ├── LedgerError            the ledger is corrupt, foreign or of another version
│   └── OracleError            the oracle failed or gave labels of a wrong shape
├── ResultsError      the results of a benchmark cannot be read, written or mixed
├── EvaluationError   results cannot be compared as asked; names case, arm and seed  (also a ValueError)
├── EntryError        a competition entry cannot be run as asked
├── AcquisitionError  a rule was given, or gave, something that is no pool or no pick
├── RankLostError     another process of the run is gone; the same command goes on
├── DivergedError     the training loss or a weight became NaN or infinite
│   └── LoweredRateError       the same; a start in the same folder goes on with a lower learning rate
├── PreemptedError    the process was asked to end; the same command goes on
└── LabelsPendingError  people have been asked and have not answered yet; start again later
```
"""

from pathlib import Path

__all__ = [
    "AcquisitionError",
    "BudgetExceededError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "DpcError",
    "EntryError",
    "EvaluationError",
    "InvalidIndexError",
    "LabelsPendingError",
    "LedgerError",
    "LoweredRateError",
    "OracleError",
    "PreemptedError",
    "PurchaseError",
    "RankLostError",
    "ResultsError",
    "RunDirError",
]


class DpcError(Exception):
    """Base of all errors of this package: the command line prints its message without a traceback."""


class ConfigError(DpcError, ValueError):
    """A setting is wrong. The message names the YAML key, what was expected, what came and the way out."""


class DataError(DpcError, ValueError):
    """A data file is wrong. The message names the file, the row where there is one, and the way out."""


class RunDirError(DpcError, OSError):
    """The folder of a run cannot be created, locked, written or resumed."""


class ResultsError(DpcError):
    """The results of a benchmark cannot be read or written, or are of another version of the protocol."""


class PurchaseError(DpcError):
    """A purchase was refused or could not be carried out."""


class BudgetExceededError(PurchaseError):
    """A purchase asked for more labels than the label budget has left."""


class InvalidIndexError(PurchaseError):
    """A purchase named indices that are unknown, negative, not integers, or repeated."""


class LedgerError(PurchaseError):
    """The ledger file is corrupt, belongs to another pool, or has another schema version."""


class OracleError(PurchaseError):
    """The oracle failed, or its answer is not a 0/1 table of the expected shape."""


class EntryError(DpcError):
    """A competition entry, or the process that is to run it, cannot be used. The message says why, and the way out."""


class AcquisitionError(DpcError, ValueError):
    """An acquisition got a pool that it cannot work on, or returned something that is not a valid pick."""


class EvaluationError(DpcError, ValueError):
    """Results cannot be compared as asked. The message names what they lack (case, arm, seeds) and the way out."""


class RankLostError(DpcError):
    """Another process of a run on several ranks has ended or cannot be reached any more."""


class DivergedError(DpcError):
    """The training loss or a weight became NaN or infinite. The message names phase, epoch and batch."""


class LoweredRateError(DivergedError):
    """Training diverged, and the ledger says that it goes on from the last checkpoint with a lower learning rate.

    Args:
        message: what happened, and what comes next.
        run_dir: the run's folder; a start in it goes on.
    """

    def __init__(self, message: str, run_dir: Path) -> None:
        super().__init__(message)
        self.run_dir = run_dir


class PreemptedError(DpcError):
    """The process was asked to end by a signal, and has saved its state. The exit status is 75."""


class LabelsPendingError(DpcError):
    """The oracle has passed the request on to people; the labels come with a later start. The exit status is 3."""
