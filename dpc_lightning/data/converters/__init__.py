"""Converters: they bring data sets in other layouts into the layout of a data root. One data set a file."""

__all__: list[str] = []
