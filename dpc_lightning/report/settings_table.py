"""Settings and versions as tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from dpc_lightning.report.table import Column, Table

__all__ = ["flat_settings", "versions_table"]


def flat_settings(settings: Mapping[str, Any], name: str = "settings", title: str = "Settings") -> Table:
    """List all settings by their path; those that are not set are left out.

    Args:
        settings: as read from YAML.
        name: of the table.
        title: of the table.

    Example:
        >>> flat_settings({"data": {"root": "d", "cache_dir": None}, "betas": [0.9, 0.99]}).rows
        (('data.root', 'd'), ('betas', '0.9, 0.99'))
    """
    rows = tuple((key, text) for key, text in _leaves(settings, "") if text)
    return Table(name, title, (Column("setting"), Column("value")), rows)


def versions_table(versions: Mapping[str, Any], hardware: Mapping[str, Any]) -> Table:
    """List versions and hardware.

    Args:
        versions: by package.
        hardware: by property.
    """
    rows = tuple((str(name), str(value)) for name, value in (*versions.items(), *hardware.items()))
    return Table("versions", "Versions and hardware", (Column("name"), Column("value")), rows)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401  YAML holds anything
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        if any(isinstance(value, Mapping | list) for value in node):
            for place, value in enumerate(node):
                yield from _leaves(value, f"{path}[{place}]")
        else:
            yield path, ", ".join(map(str, node))
    else:
        yield path, "" if node is None else str(node)
