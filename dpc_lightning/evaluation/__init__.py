"""Judging purchases: the results of a benchmark's jobs, and the statistics over them."""

__all__: list[str] = []
