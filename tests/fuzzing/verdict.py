"""How a case says that something is wrong."""

__all__ = ["require"]


def require(holds: bool, what: str) -> None:
    """Raise an AssertionError unless something holds, also where Python leaves out `assert`."""
    if not holds:
        raise AssertionError(what)
