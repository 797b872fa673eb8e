"""The settings of the penalty for likeness, which the quota rules share."""

from dpc_lightning.errors import ConfigError

__all__ = ["check_penalty"]


def check_penalty(scale: float, floor: float) -> None:
    """Check the constants of the penalty.

    Raises:
        ConfigError: if a value is out of its range.
    """
    for name, value, low in (("scale", scale, "(0, 2]"), ("floor", floor, "[0, 1]")):
        if not (0 < value <= 2 if name == "scale" else 0 <= value <= 1):
            msg = f"Expected `init_args.{name}` in {low}, but got {value}."
            raise ConfigError(msg)
