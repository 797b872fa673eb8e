"""How rows are picked fast and right: searches and samplers over rows of numbers, which know no rule and no image."""

__all__: list[str] = []
