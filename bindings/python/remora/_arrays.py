# SPDX-License-Identifier: Apache-2.0
"""Arrays of numbers with memory of their own: of numpy where it is installed, else of the module array."""
from __future__ import annotations

import array
import importlib
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]
else:
    Floats = Doubles = Any
try:
    numpy: Any = importlib.import_module("numpy")
except ImportError:
    numpy = None


def floats(raw: bytes) -> Floats:
    if numpy is not None:
        return cast(Floats, numpy.frombuffer(bytearray(raw), dtype=numpy.float32))
    return cast(Floats, array.array("f", raw))


def doubles(raw: bytes) -> Doubles:
    if numpy is not None:
        return cast(Doubles, numpy.frombuffer(bytearray(raw), dtype=numpy.float64))
    return cast(Doubles, array.array("d", raw))
