"""Which rules there are."""

import inspect

from dpc_lightning import acquisition
from dpc_lightning.acquisition.base import Acquisition

__all__ = ["rules"]


def rules() -> dict[str, type[Acquisition]]:
    """Give all rules that the package has, by the name that YAML knows them by.

    Example:
        >>> rules()["Random"].stochastic
        True
    """
    exported = {name: getattr(acquisition, name) for name in acquisition.__all__}
    return {
        name: thing
        for name, thing in exported.items()
        if inspect.isclass(thing) and issubclass(thing, Acquisition) and not inspect.isabstract(thing)
    }
