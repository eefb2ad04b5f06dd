"""The preprocessing ops: a line each in both lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from medray.imaging.ops.clahe import Clahe, clahe
from medray.imaging.ops.foreground_crop import ForegroundCrop, foreground_crop
from medray.imaging.ops.gaussian import Gaussian, gaussian
from medray.imaging.ops.median import Median, median
from medray.imaging.ops.pad import Pad, pad
from medray.imaging.ops.percentile import Percentile, percentile
from medray.imaging.ops.resize import Resize, resize
from medray.imaging.ops.window import Window, window
from medray.types import Image

Op = (
    Window
    | Percentile
    | ForegroundCrop
    | Median
    | Gaussian
    | Clahe
    | Resize
    | Pad
)  # fmt: skip

OPS: Mapping[str, Callable[[Image, Any], Image]] = {
    "window": window,
    "percentile": percentile,
    "foreground_crop": foreground_crop,
    "median": median,
    "gaussian": gaussian,
    "clahe": clahe,
    "resize": resize,
    "pad": pad,
}
