"""The feature classes: a line each."""

from __future__ import annotations

from collections.abc import Mapping

from medray.features.radiomics.classes.definition import FeatureClass
from medray.features.radiomics.classes.firstorder import FIRSTORDER
from medray.features.radiomics.classes.glcm import GLCM
from medray.features.radiomics.classes.gldm import GLDM
from medray.features.radiomics.classes.glrlm import GLRLM
from medray.features.radiomics.classes.glszm import GLSZM
from medray.features.radiomics.classes.ngtdm import NGTDM
from medray.features.radiomics.classes.shape2d import SHAPE2D
from medray.features.radiomics.classes.shape3d import SHAPE3D
from medray.features.radiomics.params import ClassName

CLASSES: Mapping[ClassName, FeatureClass] = {
    "firstorder": FIRSTORDER,
    "shape": SHAPE3D,
    "shape2D": SHAPE2D,
    "glcm": GLCM,
    "glrlm": GLRLM,
    "glszm": GLSZM,
    "ngtdm": NGTDM,
    "gldm": GLDM,
}
