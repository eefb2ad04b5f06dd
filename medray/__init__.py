"""medray: distributed batch processing of medical images on Ray.

From Python and notebooks:

- ``medray.decode(bytes | path)`` → :class:`medray.types.Image`
- ``medray.build_volume(folder | paths | bytes)`` → :class:`medray.data.volume.Volume`;
  ``medray.volume_stacks(…)`` lists what there is to build
- ``medray.open_bundle(uri).predict(paths | bytes | arrays)`` → a list of :class:`medray.bundles.bundle.Prediction`
- ``medray.open_catalog(uri).to_arrow()`` → :class:`pyarrow.Table`

Everything that can go wrong is a :class:`medray.errors.MedrayError` with a stable ``code``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medray.bundles.bundle import open_bundle
    from medray.data.catalog import open_catalog
    from medray.data.dicom import decode
    from medray.data.volume import build_volume, volume_stacks

__all__ = ["build_volume", "decode", "open_bundle", "open_catalog", "volume_stacks"]

_HOME = {
    "build_volume": "medray.data.volume",
    "decode": "medray.data.dicom",
    "open_bundle": "medray.bundles.bundle",
    "open_catalog": "medray.data.catalog",
    "volume_stacks": "medray.data.volume",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import medray`` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'medray' has no attribute {name!r}")
    from importlib import import_module

    if name == "open_bundle":
        from medray.extras import require

        require("models", "a bundle")
    return getattr(import_module(_HOME[name]), name)
