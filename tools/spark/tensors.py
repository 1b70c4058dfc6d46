# SPDX-License-Identifier: MIT
"""Safetensors files, read and written without the package of that name."""
import json
import struct

import numpy
import torch

KINDS = {"F16": (torch.float16, numpy.float16), "F32": (torch.float32, numpy.float32),
         "I32": (torch.int32, numpy.int32), "I64": (torch.int64, numpy.int64)}
NAMES = {torch_kind: name for name, (torch_kind, _) in KINDS.items()}


def save(path, tensors, dtype=None):
    """tensors: name -> tensor; floats are stored as dtype where it is given."""
    header, blobs, at = {}, [], 0
    for name in sorted(tensors):
        t = tensors[name].detach().cpu().contiguous()
        if dtype is not None and t.is_floating_point():
            t = t.to(dtype)
        blob = t.numpy().tobytes()
        header[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape),
                        "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for blob in blobs:
            f.write(blob)


def load(path):
    with open(path, "rb") as f:
        (size,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(size)), f.read()
    out = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        a = numpy.frombuffer(data[start:end], KINDS[entry["dtype"]][1]).reshape(entry["shape"])
        out[name] = torch.from_numpy(a.copy())
    return out
