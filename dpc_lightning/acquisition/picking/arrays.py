"""Names of the arrays that rules and searches give each other."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Doubles", "FloatArray", "IntArray", "LabelArray"]

Doubles = NDArray[np.float64]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
LabelArray = NDArray[np.uint8]
