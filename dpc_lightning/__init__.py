"""Decide which labels to buy, buy each exactly once, train on all you own, and show what that was worth."""

__all__ = ["__version__"]

__version__ = "0.1.0"
