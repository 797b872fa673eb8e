"""Judging purchases: the grid of jobs, its results, and the statistics over them."""

__all__: list[str] = []
