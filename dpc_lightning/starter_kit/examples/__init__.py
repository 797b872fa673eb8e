"""Entries to begin with, as a participant would write them: one file each, without an import of this package."""

from pathlib import Path

__all__ = ["EXAMPLES", "example_path"]

EXAMPLES = ("template", "random", "one_shot_entropy", "rounds_of_entropy", "hard_class")


def example_path(name: str) -> Path:
    """Find an entry's file.

    Args:
        name: of an example, or a path.

    Example:
        >>> example_path("random").name, example_path("mine/run.py").name
        ('run.py', 'run.py')
    """
    return Path(__file__).parent / name / "run.py" if name in EXAMPLES and not Path(name).is_file() else Path(name)
