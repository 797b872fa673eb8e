"""Settings of `fit` within the settings of a benchmark: kept as they stand in the file, and read by `fit` alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonargparse.typing import register_type

__all__ = ["FitSettings"]


class FitSettings(Mapping[str, Any]):
    """Plain data by name.

    The parser would otherwise look into every `class_path`, add the defaults of this version of the class, and so
    change what a job is known by.

    Args:
        content: groups of `fit`, or one of them.

    Example:
        >>> FitSettings({"acquisition": "Badge"})["acquisition"]
        'Badge'
    """

    def __init__(self, content: Mapping[str, Any] | None = None) -> None:
        self._content = dict(content or {})

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401  any plain data
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return repr(self._content)

    def as_dict(self) -> dict[str, Any]:
        """Give the plain mapping."""
        return dict(self._content)


def _read(value: object) -> FitSettings:
    if not isinstance(value, Mapping):
        msg = f"Expected settings by name, but got {value!r}."
        raise ValueError(msg)  # noqa: TRY004  the parser turns ValueErrors into its messages
    return FitSettings(value)


register_type(FitSettings, serializer=FitSettings.as_dict, deserializer=_read, fail_already_registered=False)
