"""What an entry's purchase can end in. Entries import these names from `evaluator.exceptions`."""

__all__ = ["OutOfBudgetException", "OutOfTimeException"]


class OutOfBudgetException(Exception):  # noqa: N818  the name is the competition's
    """The call asks for more labels than are left; nothing was bought."""


class OutOfTimeException(Exception):  # noqa: N818  named like its neighbour; an own choice
    """The compute budget is used up; nothing more is sold, and the process is ended soon."""
