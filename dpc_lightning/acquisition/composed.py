"""What rules that are made of other rules have in common: they need what their parts need."""

from collections.abc import Sequence

from dpc_lightning.acquisition.base import Acquisition, Need
from dpc_lightning.errors import AcquisitionError, ConfigError

__all__ = ["Composed", "check_part", "check_rules", "numbered"]


class Composed(Acquisition):
    """A rule that is made of others, which are rules of any kind, composed ones too.

    Args:
        parts: the others, by the name of the argument that each came by.
    """

    def __init__(self, parts: dict[str, Acquisition]) -> None:
        self._parts = parts
        self.needs: frozenset[Need] = frozenset().union(*(rule.needs for rule in parts.values()))
        self.members = max(rule.members for rule in parts.values())
        self.stochastic = any(rule.stochastic for rule in parts.values())

    def check_pool(self, images: int, count: int = 1) -> None:
        """Ask every part whether a pool of so many images is too large for it.

        Raises:
            AcquisitionError: if it is; names the argument by which the part came.
        """
        for name, rule in self._parts.items():
            check_part(name, rule, images, count)


def check_part(name: str, rule: Acquisition, images: int, count: int) -> None:
    """Ask a part whether a pool of so many images is too large for it.

    Args:
        name: the argument by which the part came.
        rule: the part.
        images: size of the pool that it would be given.
        count: how many images it would be asked for.

    Raises:
        AcquisitionError: if it is.
    """
    try:
        rule.check_pool(images, count)
    except AcquisitionError as error:
        msg = f"`{name}`: {error}"
        raise AcquisitionError(msg) from error


def check_rules(rules: Sequence[Acquisition], fewest: int = 1) -> None:
    """Check a list of parts.

    Raises:
        ConfigError: if there are too few, or one is no rule.
    """
    if len(rules) < fewest:
        msg = f"Expected at least {fewest} `init_args.rules`, but got {len(rules)}."
        raise ConfigError(msg)
    for number, rule in enumerate(rules):
        if not isinstance(rule, Acquisition):
            msg = f"Expected a rule in `init_args.rules[{number}]`, but got {rule!r}."
            raise ConfigError(msg)


def numbered(rules: Sequence[Acquisition]) -> dict[str, Acquisition]:
    """Name the rules of a list by their places in it."""
    return {f"rules[{number}]": rule for number, rule in enumerate(rules)}
