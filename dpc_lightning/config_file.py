"""A configuration file before it is parsed: is it YAML, and are its groups groups?

The parser knows what a key may be, but it reads a file as text without a name, so what it says of YAML that is broken
does not say where.
"""

from collections.abc import Iterable
from pathlib import Path

import yaml

from dpc_lightning.errors import ConfigError

__all__ = ["check_config_file"]


def check_config_file(file: Path, groups: Iterable[str]) -> None:
    """Refuse a file that the parser cannot name, or would take apart wrongly.

    Args:
        file: a YAML file of settings.
        groups: names of the groups; each must hold settings, or name a file with them.

    Raises:
        ConfigError: naming the file, and the line or the key.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "run.yaml"
        ...     _ = file.write_text("purchase: {labels: 20}")
        ...     check_config_file(file, ["purchase"])
    """
    settings = _read(file)
    if not isinstance(settings, dict):
        got = "nothing" if settings is None else repr(settings)[:60]
        msg = f"Expected settings as `key: value` in {file}, but it holds {got}."
        raise ConfigError(msg)
    _check_keys(file, settings, ())
    for group in groups:
        value = settings.get(group, {})
        if not isinstance(value, dict | str):
            msg = f"Expected settings in the group `{group}:` of {file}, but got {value!r}."
            raise ConfigError(msg)


def _read(file: Path) -> object:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"Cannot read the configuration {file}: {error.strerror or error}."
        raise ConfigError(msg) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}, column {mark.column + 1} of {file}" if mark else f"{file}"
        msg = f"Expected YAML in {line}, but: {error.problem or error.context}."
        raise ConfigError(msg) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or a date like 2026-13-45
        msg = f"Expected YAML in UTF-8 in {file}, but: {str(error).partition(chr(10))[0]}."
        raise ConfigError(msg) from error


def _check_keys(file: Path, node: object, above: tuple[object, ...]) -> None:
    if any(node is each for each in above):
        msg = f"Expected settings that end in {file}, but an alias in it names what it stands in."
        raise ConfigError(msg)
    inside = (*above, node)
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str):
                msg = f"Expected names as keys in {file}, but got {key!r}: write it in quotes if it is one."
                raise ConfigError(msg)
            _check_keys(file, value, inside)
    if isinstance(node, list):
        for value in node:
            _check_keys(file, value, inside)
