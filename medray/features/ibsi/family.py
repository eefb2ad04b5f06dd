"""The family of IBSI features: the groups of the reference manual, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from medray.features.family import Extracted, Feature, joined
from medray.features.ibsi.definition import Group
from medray.features.ibsi.glcm import GLCM
from medray.features.ibsi.gldzm import GLDZM
from medray.features.ibsi.glrlm import GLRLM
from medray.features.ibsi.glszm import GLSZM
from medray.features.ibsi.histogram import HISTOGRAM
from medray.features.ibsi.ivh import IVH
from medray.features.ibsi.morphology import MORPHOLOGY
from medray.features.ibsi.ngldm import NGLDM
from medray.features.ibsi.ngtdm import NGTDM
from medray.features.ibsi.params import GroupName, IbsiParams
from medray.features.ibsi.peaks import LOCAL
from medray.features.ibsi.statistics import STATISTICS
from medray.features.ibsi.subject import Subject
from medray.spec import Spec
from medray.types import Image

GROUPS: Mapping[GroupName, Group] = {
    "morphology": MORPHOLOGY,
    "local": LOCAL,
    "statistics": STATISTICS,
    "histogram": HISTOGRAM,
    "ivh": IVH,
    "glcm": GLCM,
    "glrlm": GLRLM,
    "glszm": GLSZM,
    "gldzm": GLDZM,
    "ngtdm": NGTDM,
    "ngldm": NGLDM,
}


class Ibsi:
    """Features of the IBSI reference manual, for example ``ibsi_glcm_joint_entropy_3d_averaged``.

    All features with a consensus value for the digital phantom; those without one (the minimum bounding box in any orientation,
    the minimum enclosing ellipsoid, the area under the intensity-volume histogram) are left out.

    Morphology, local intensity and ``3d`` textures are of volumes; in a plane they are NaN. A region of one value has no fixed
    bin number of levels. Where the manual sets a value for what is not defined (a skewness of 0 for a constant region, a
    coarseness of 10⁶), it is NaN here, with its reason; the mean over slices or directions is over those where it is defined.
    """

    name = "ibsi"
    params: type[Spec] = IbsiParams
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    unit_range: ClassVar[bool] = False

    def features(self, params: IbsiParams) -> tuple[Feature, ...]:
        """The features of each group."""
        return tuple(feature for name in params.groups for feature in GROUPS[name].features(params))

    def extract(self, image: Image, params: IbsiParams) -> Extracted:
        """The features of an image."""
        subject = Subject(image, params)
        return joined([GROUPS[name].extract(subject) for name in params.groups])


IBSI = Ibsi()
