"""The preprocessing ops: a line each in both lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from medray.imaging.ops.anisotropic_diffusion import AnisotropicDiffusion, anisotropic_diffusion
from medray.imaging.ops.bias_field import BiasField, bias_field
from medray.imaging.ops.bilateral import Bilateral, bilateral
from medray.imaging.ops.body_crop import BodyCrop, body_crop
from medray.imaging.ops.box_crop import BoxCrop, box_crop
from medray.imaging.ops.breast_crop import BreastCrop, breast_crop
from medray.imaging.ops.centre_crop import CentreCrop, centre_crop
from medray.imaging.ops.check import Check, check
from medray.imaging.ops.clahe import Clahe, clahe
from medray.imaging.ops.collimator import Collimator, collimator
from medray.imaging.ops.fill import Fill, fill
from medray.imaging.ops.foreground_crop import ForegroundCrop, foreground_crop
from medray.imaging.ops.frost import Frost, frost
from medray.imaging.ops.gamma import Gamma, gamma
from medray.imaging.ops.gaussian import Gaussian, gaussian
from medray.imaging.ops.histogram_match import HistogramMatch, histogram_match
from medray.imaging.ops.lee import Lee, lee
from medray.imaging.ops.lung_crop import LungCrop, lung_crop
from medray.imaging.ops.median import Median, median
from medray.imaging.ops.minmax import Minmax, minmax
from medray.imaging.ops.non_local_means import NonLocalMeans, non_local_means
from medray.imaging.ops.orient import Orient, orient
from medray.imaging.ops.pad import Pad, pad
from medray.imaging.ops.percentile import Percentile, percentile
from medray.imaging.ops.real_world import RealWorld, real_world
from medray.imaging.ops.resample import Resample, resample
from medray.imaging.ops.resize import Resize, resize
from medray.imaging.ops.suv import Suv, suv
from medray.imaging.ops.text_mask import TextMask, text_mask
from medray.imaging.ops.unsharp import Unsharp, unsharp
from medray.imaging.ops.wavelet_denoise import WaveletDenoise, wavelet_denoise
from medray.imaging.ops.window import Window, window
from medray.imaging.ops.zscore import Zscore, zscore
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
    | BiasField
    | BodyCrop
    | BoxCrop
    | BreastCrop
    | CentreCrop
    | Check
    | Collimator
    | Fill
    | LungCrop
    | Orient
    | RealWorld
    | Resample
    | Suv
    | TextMask
    | AnisotropicDiffusion
    | Bilateral
    | Frost
    | Gamma
    | HistogramMatch
    | Lee
    | Minmax
    | NonLocalMeans
    | Unsharp
    | WaveletDenoise
    | Zscore
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
    "bias_field": bias_field,
    "body_crop": body_crop,
    "box_crop": box_crop,
    "breast_crop": breast_crop,
    "centre_crop": centre_crop,
    "check": check,
    "collimator": collimator,
    "fill": fill,
    "lung_crop": lung_crop,
    "orient": orient,
    "real_world": real_world,
    "resample": resample,
    "suv": suv,
    "text_mask": text_mask,
    "anisotropic_diffusion": anisotropic_diffusion,
    "bilateral": bilateral,
    "frost": frost,
    "gamma": gamma,
    "histogram_match": histogram_match,
    "lee": lee,
    "minmax": minmax,
    "non_local_means": non_local_means,
    "unsharp": unsharp,
    "wavelet_denoise": wavelet_denoise,
    "zscore": zscore,
}
