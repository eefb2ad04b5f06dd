"""A part of a synthetic archive, written to the store by one process."""

from __future__ import annotations

from functools import partial

from medray.data import store
from medray.data.synthetic import MASKS, Label, SyntheticSpec, write_archive

CHUNK = 32
"""Images of a part."""

Part = tuple[SyntheticSpec, str, range]
"""What to write, where, and which images of it."""


def parts(spec: SyntheticSpec, uri: str) -> list[Part]:
    """The archive in parts, in order of its images."""
    return [(spec, uri, range(start, min(start + CHUNK, spec.count))) for start in range(0, spec.count, CHUNK)]


def write_part(part: Part) -> tuple[int, list[Label]]:
    """Write the images of a part to ``images/`` under its URI, and their masks to ``masks/``.

    Returns:
        The index of its first image, and the labels in order.
    """
    spec, uri, indices = part

    def put(folder: str, name: str, data: bytes) -> None:
        store.write(store.join(uri, folder, name), data, sync=False)  # the same command makes them again

    return indices.start, write_archive(spec, partial(put, "images"), indices, partial(put, MASKS))
