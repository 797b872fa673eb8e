"""The YAML files that people run, as package data.

They stand in `configs/` at the top of the repository; their import name is `dpc_lightning.configs`.
"""

from importlib.resources import files
from pathlib import Path

from dpc_lightning.errors import ConfigError

__all__ = ["config_path"]


def config_path(name: str) -> Path:
    """Find a packaged configuration.

    Args:
        name: its file name, with or without `.yaml`, for example `quickstart`.

    Returns:
        The path of the file.

    Raises:
        ConfigError: if there is none of that name; the message lists those that are there.

    Example:
        >>> config_path("quickstart").name
        'quickstart.yaml'
    """
    folder = Path(str(files(__name__)))
    found = folder / (name if name.endswith(".yaml") else f"{name}.yaml")
    if not found.is_file():
        known = ", ".join(sorted(str(path.relative_to(folder)) for path in folder.rglob("*.yaml")))
        msg = f"There is no packaged configuration `{name}`. There are: {known}."
        raise ConfigError(msg)
    return found
