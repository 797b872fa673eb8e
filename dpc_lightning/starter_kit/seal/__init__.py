"""Shutting a process in: it sees what it is shown, and nothing else of the machine. Linux only."""

__all__: list[str] = []
