"""The environment of processes that do the work."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

WORKER_ENV = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "67108864",
}
"""One library thread per worker: parallelism comes from actors. Fits raise the limit for themselves; their threads wait without
spinning, which on a busy machine costs the cores that the others need. Memory of images stays with the worker for the next image,
which saves the kernel's work of clearing pages."""


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which processes that start meanwhile inherit."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def compute_device() -> str:
    """``"cuda"`` where this process may use a GPU, else ``"cpu"``; imports torch."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
