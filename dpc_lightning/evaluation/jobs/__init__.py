"""The jobs of a benchmark: laid out from its settings, carried out by `fit`, kept as rows."""

__all__: list[str] = []
