"""A GGUF file with a tensor of each type that is read here.

    python tools/reference/gguf_types.py tests/goldens/types.gguf

Written by the `gguf` package, the reference for the format; values of the quantised
types are random blocks, so that every code occurs. The file holds

| `F32`, `F16`, `BF16`               | (2, 3, 1, 5)                              |
| `Q8_0`, `Q5_1`, `Q5_0`, `Q4_1`, `Q4_0` | (3, 64)                               |
| `expected.TYPE`                    | f32: what `gguf.dequantize` gives for it  |

with an alignment of 64, and metadata of every type.

Run with gguf 0.19.0, numpy 2.4.6.
"""

import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type


def blocks(rng, kind):
    """Random blocks of (3, 64) values, as bytes, with scales that are finite."""
    size = gguf.GGML_QUANT_SIZES[kind][1]
    data = rng.integers(0, 256, (3, 2 * size), dtype=np.uint8)
    scales = 2 if kind in (Type.Q4_1, Type.Q5_1) else 1
    for block in range(2):
        values = rng.normal(size=(3, scales)).astype(np.float16)
        at = block * size
        data[:, at : at + 2 * scales] = values.view(np.uint8)
    if kind == Type.Q8_0:
        # ggml writes no -128.
        for block in range(2):
            codes = data[:, block * size + 2 : (block + 1) * size]
            codes[codes == 128] = 127
    return data


def main(path):
    rng = np.random.default_rng(17)
    writer = gguf.GGUFWriter(path, "sd1")
    writer.add_custom_alignment(64)
    writer.add_uint8("a.uint8", 200)
    writer.add_int8("a.int8", -3)
    writer.add_uint16("a.uint16", 60000)
    writer.add_int16("a.int16", -300)
    writer.add_int32("a.int32", -70000)
    writer.add_float32("a.float32", 0.5)
    writer.add_bool("a.bool", True)
    writer.add_string("a.string", "grüße")
    writer.add_uint64("a.uint64", 2**63)
    writer.add_int64("a.int64", -(2**62))
    writer.add_float64("a.float64", 1e300)
    writer.add_array("a.shape", [2, 3, 1, 5])
    writer.add_array("a.words", ["one", "two", "three"])
    writer.add_array("a.numbers", list(range(100)))
    plain = rng.normal(size=(2, 3, 1, 5)).astype(np.float32)
    half = gguf.quantize(plain.reshape(2, 15), Type.BF16).reshape(2, 3, 1, 10)
    tensors = {
        "F32": (plain, None, plain),
        "F16": (plain.astype(np.float16), None, plain.astype(np.float16).astype(np.float32)),
        "BF16": (half, Type.BF16, gguf.dequantize(half, Type.BF16)),
    }
    for kind in (Type.Q8_0, Type.Q5_1, Type.Q5_0, Type.Q4_1, Type.Q4_0):
        data = blocks(rng, kind)
        tensors[kind.name] = (data, kind, gguf.dequantize(data, kind))
    for name, (data, kind, expected) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=kind)
        writer.add_tensor(f"expected.{name}", np.ascontiguousarray(expected))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1])
