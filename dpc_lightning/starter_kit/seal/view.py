"""What a sealed process sees of the file system."""

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import dpc_lightning

__all__ = ["View", "programs"]

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt/nvidia", "/usr/local/nvidia")
"""Programs and libraries."""

SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/alternatives",
    "/etc/fonts",
)


@dataclass(frozen=True)
class View:
    """Folders and files that a process sees; all others are not there for it.

    Attributes:
        readable: read-only, at the place where they are.
        given: read-only folder made for the process, outside of everything that is hidden.
        work: the process's own folder, writable.
        work_mb: how much it may write.
        devices: device files beside null, zero, random and urandom.
    """

    readable: tuple[str, ...]
    given: str
    work: str
    work_mb: int
    devices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Give it in plain types."""
        return asdict(self)

    @classmethod
    def of(cls, known: dict[str, object]) -> Self:
        """Read what `as_dict` has written."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})  # type: ignore[arg-type]


@dataclass
class _Roots:
    found: list[Path] = field(default_factory=list)

    def add(self, paths: Iterable[str | Path]) -> None:
        for each in paths:
            path = Path(each)
            if path.exists() and not any(path.is_relative_to(known) for known in self.found):
                self.found = [known for known in self.found if not known.is_relative_to(path)] + [path]


def programs() -> tuple[str, ...]:
    """List what Python, its libraries and this package need to be seen, wherever they are installed."""
    roots = _Roots()
    roots.add(SYSTEM)
    roots.add(SYSTEM_FILES)
    package = Path(dpc_lightning.__file__).parent
    parts = [package, *(link.resolve() for link in package.iterdir() if link.is_symlink())]
    roots.add([sys.prefix, sys.base_prefix, sys.exec_prefix, Path(sys.executable).resolve().parent])
    roots.add(path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"})
    roots.add(parts)
    return tuple(str(path) for path in roots.found)
