# SPDX-License-Identifier: MIT
"""Random scenes with exact depth: scenes.c, compiled for this machine at the first call."""
import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile

import torch

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scenes.c")
UNSEEN = 1 << 40  # seeds from here on are for measuring only
FLAGS = ["-std=gnu17", "-O3", "-march=native", "-ffast-math", "-fPIC", "-shared"]


@functools.lru_cache(None)
def library():
    with open(SOURCE, "rb") as f:
        name = hashlib.sha256(f.read()).hexdigest()[:16]
    path = os.path.join(tempfile.gettempdir(), f"spark-scenes-{os.getuid()}-{name}.so")
    if not os.path.exists(path) or os.stat(path).st_uid != os.getuid():  # a shared folder: only one's own
        new = f"{path}.{os.getpid()}"
        subprocess.run([os.environ.get("CC", "cc"), *FLAGS, SOURCE, "-o", new, "-lm"], check=True)
        os.replace(new, path)
    lib = ctypes.CDLL(path)
    lib.spark_scene.argtypes = [ctypes.c_uint64, ctypes.c_int, ctypes.c_int, ctypes.c_int] + [ctypes.c_void_p] * 3
    lib.spark_scene.restype = None
    lib.spark_sort.argtypes = [ctypes.c_uint64]
    return lib


def draw(seeds, height, width, exact=False):
    """seeds: integers -> (uint8 [b, h, w, 3], depth along the camera's axis in metres [b, h, w], the
    sky 1e30). A scene is the same in every batch. exact: the source's own at rest."""
    rgb = torch.empty(len(seeds), height, width, 3, dtype=torch.uint8)
    depth = torch.empty(len(seeds), height, width)
    room = torch.empty_like(rgb[:1])
    for i, seed in enumerate(seeds):
        library().spark_scene(int(seed), exact, width, height, rgb[i].data_ptr(), depth[i].data_ptr(), room.data_ptr())
    return rgb, depth


def sort(seed):
    """0: the source's own scene, 1: another, 2: one in a room."""
    return library().spark_sort(seed)


def render(seeds, height=168, width=224, exact=False):
    """The same as (picture [b, 3, h, w] in 0 .. 1, depth [b, 1, h, w], inf for the sky)."""
    rgb, depth = draw(seeds, height, width, exact)
    depth[depth > 1e6] = float("inf")
    return rgb.permute(0, 3, 1, 2).float() / 255, depth[:, None]
