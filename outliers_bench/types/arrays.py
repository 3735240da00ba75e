"""Types of the arrays that all rooms share."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
RGB = npt.NDArray[np.uint8]
