"""Features by pyradiomics itself."""

from __future__ import annotations

import numpy as np
import radiomics
import SimpleITK as sitk
from radiomics.firstorder import RadiomicsFirstOrder
from radiomics.glcm import RadiomicsGLCM
from radiomics.gldm import RadiomicsGLDM
from radiomics.glrlm import RadiomicsGLRLM
from radiomics.glszm import RadiomicsGLSZM
from radiomics.imageoperations import checkMask, cropToTumorMask
from radiomics.ngtdm import RadiomicsNGTDM
from radiomics.shape import RadiomicsShape
from radiomics.shape2D import RadiomicsShape2D

from medray.features.radiomics.family import RADIOMICS
from medray.features.radiomics.params import RadiomicsParams
from medray.types import Image

CLASSES = {
    "firstorder": RadiomicsFirstOrder,
    "shape": RadiomicsShape,
    "shape2D": RadiomicsShape2D,
    "glcm": RadiomicsGLCM,
    "glrlm": RadiomicsGLRLM,
    "glszm": RadiomicsGLSZM,
    "ngtdm": RadiomicsNGTDM,
    "gldm": RadiomicsGLDM,
}


def own(image: Image, params: RadiomicsParams) -> dict[str, float]:
    names = [feature.name for feature in RADIOMICS.features(params)]
    return dict(zip(names, RADIOMICS.extract(image, params).values.tolist(), strict=True))


def settings(params: RadiomicsParams) -> dict[str, object]:
    bins = {"binWidth": params.width} if params.bin_count is None else {"binCount": params.bin_count}
    return bins | {
        "distances": list(params.distances),
        "gldm_a": params.gldm_alpha,
        "voxelArrayShift": params.array_shift,
        "wavelet": params.wavelet,
        "minimumROIDimensions": 1,
        "resegmentRange": None if params.resegment is None else list(params.resegment),
    }


def itk(image: Image) -> tuple[sitk.Image, sitk.Image]:
    region = np.ones(image.pixels.shape, bool) if image.region is None else image.region
    both = [sitk.GetImageFromArray(array) for array in (image.pixels.astype(np.float64), region.astype(np.uint8))]
    for one in both:
        one.SetSpacing([float(side) for side in reversed(image.spacing_mm or [1] * image.pixels.ndim)])
    return both[0], both[1]


def pyradiomics(image: Image, params: RadiomicsParams) -> dict[str, float]:
    """Of the original image, class by class; a volume measured in its planes is pyradiomics' force2D."""
    radiomics.setVerbosity(60)
    pixels, mask = itk(image)
    box, _ = checkMask(pixels, mask, minimumROIDimensions=1)
    pixels, mask = cropToTumorMask(pixels, mask, box)
    chosen = settings(params) | {"force2D": params.dimensions < image.pixels.ndim}
    found = {}
    for name in params.chosen:
        with np.errstate(all="ignore"):
            values = CLASSES[name](pixels, mask, **chosen).execute()
        found |= {f"original_{name}_{feature}": float(value) for feature, value in values.items()}
    return found
