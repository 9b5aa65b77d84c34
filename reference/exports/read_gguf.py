"""
Reads GGUF files with the `gguf` package and compares ours with what llama.cpp's converter wrote of the same weights:

    python read_gguf.py GGUF PAIRS      GGUF is the folder of the package, PAIRS a JSON file: [{"ours": path, "theirs": path or null}, …]

Prints, for each pair, the number of tensors and of bytes, the tensors that differ, and the metadata that both have and that differ.
"""

import json
import sys
from pathlib import Path

# Named otherwise by us, or of the tokenizer, which the converter leaves out here.
NOT_COMPARED = ("general.name", "general.size_label", "general.quantized_by", "tokenizer.", "GGUF.", "general.base_model", "general.tags", "general.license")


def fields(reader) -> dict:
    found = {}
    for name, field in reader.fields.items():
        if not name.startswith(NOT_COMPARED):
            found[name] = field.contents()
    return found


def same(ours, theirs) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs) <= 1e-6 * max(abs(ours), abs(theirs), 1e-30)
    return ours == theirs


def compare(pair: dict, gguf) -> dict:
    import numpy as np

    ours = gguf.GGUFReader(pair["ours"])
    tensors = {tensor.name: tensor for tensor in ours.tensors}
    result = {
        "tensors": len(tensors),
        "bytes": int(sum(tensor.n_bytes for tensor in ours.tensors)),
        "types": sorted({tensor.tensor_type.name for tensor in ours.tensors}),
        "differing": [],
        "metadata": [],
    }
    if pair["theirs"] is None:
        return result
    reader = gguf.GGUFReader(pair["theirs"])
    theirs = {tensor.name: tensor for tensor in reader.tensors}
    for name in sorted(set(tensors) | set(theirs)):
        a, b = tensors.get(name), theirs.get(name)
        if a is None or b is None:
            result["differing"].append(f"{name} is only in {'theirs' if a is None else 'ours'}")
        elif a.tensor_type != b.tensor_type or list(a.shape) != list(b.shape):
            result["differing"].append(f"{name} is {a.tensor_type.name} {list(a.shape)}, theirs {b.tensor_type.name} {list(b.shape)}")
        elif not np.array_equal(a.data.view(np.uint8), b.data.view(np.uint8)):
            # Rotary factors are computed, in f64 by us and in f32 by the converter.
            close = name.startswith("rope_") and np.allclose(a.data, b.data, rtol=1e-6)
            if not close:
                result["differing"].append(f"{name} has other bytes")
    mine, other = fields(ours), fields(reader)
    result["metadata"] = [
        f"{name}: {mine[name]} / {other[name]}" for name in sorted(set(mine) & set(other)) if not same(mine[name], other[name])
    ]
    return result


def main(package: str, pairs: str) -> None:
    sys.path.insert(0, package)
    import gguf

    print(json.dumps([compare(pair, gguf) for pair in json.loads(Path(pairs).read_text(encoding="utf-8"))]))


if __name__ == "__main__":
    main(*sys.argv[1:])
