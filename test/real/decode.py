#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A GGUF file with every tensor decoded to F32 by the gguf package; everything else as it was.

    decode.py FROM.gguf TO.gguf
"""
import sys

import gguf
import numpy as np
from gguf.quants import dequantize


def main():
    reader = gguf.GGUFReader(sys.argv[1])
    writer = gguf.GGUFWriter(sys.argv[2], reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        writer.add_key_value(field.name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for t in reader.tensors:
        writer.add_tensor_info(t.name, [int(n) for n in reversed(t.shape)], np.dtype(np.float32), int(t.n_elements) * 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for t in reader.tensors:
        writer.write_tensor_data(np.ascontiguousarray(dequantize(t.data, t.tensor_type), dtype=np.float32))
    writer.close()


if __name__ == "__main__":
    main()
