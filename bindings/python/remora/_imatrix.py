# SPDX-License-Identifier: Apache-2.0
"""Files of importance, as `remora eval --imatrix` writes them (docs/command.md): safetensors with counts and means."""
import array
import json
import sys
from typing import Any, BinaryIO, Dict, Iterable, List, Sequence, Tuple


def _bytes(kind: str, numbers: Iterable[Any]) -> bytes:
    packed = array.array(kind, numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def write(file: BinaryIO, weights: "Sequence[Tuple[str, int, Sequence[Tuple[int, Any]]]]") -> None:
    """Weights: the name, the columns, and of each matrix the count and sums. All counts come first, so all is aligned."""
    counts = [count for _, _, matrices in weights for count, _ in matrices]
    header: Dict[str, Any] = {"__metadata__": {"format": "remora-imatrix-1", "tokens": str(max(counts, default=0))}}
    at = 0

    def add(name: str, dtype: str, shape: List[int], size: int) -> None:
        nonlocal at
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    for name, _, matrices in weights:
        add(name + ".count", "I64", [len(matrices)], 8 * len(matrices))
    for name, n_cols, matrices in weights:
        add(name, "F32", [len(matrices), n_cols] if len(matrices) > 1 else [n_cols], 4 * n_cols * len(matrices))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(_bytes("q", [len(text)]) + text + _bytes("q", counts))
    for _, _, matrices in weights:
        for count, sums in matrices:
            file.write(_bytes("f", (s / count if count else 0.0 for s in sums)))
