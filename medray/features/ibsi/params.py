"""The parameters of the IBSI features: what to measure, and how grey levels are formed."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from medray.features.radiomics.discretise import MAX_LEVELS
from medray.spec import Spec

GroupName = Literal[
    "morphology", "local", "statistics", "histogram", "ivh", "glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm"
]  # fmt: skip
Dimension = Literal["2d", "2_5d", "3d"]
Merging = Literal["averaged", "merged"]


class IbsiParams(Spec):
    """What to measure. Morphology and the original values depend on the groups alone, textures on all of it."""

    family: Literal["ibsi"] = "ibsi"
    groups: tuple[GroupName, ...] = Field(
        default=("morphology", "local", "statistics", "histogram", "ivh", "glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm"),
        min_length=1,
        description="feature families of the manual, in the order of the columns",
    )
    dimensions: tuple[Dimension, ...] = Field(
        default=("2d", "2_5d", "3d"),
        min_length=1,
        description="texture matrices: of each slice, then the mean (2d); of all slices, without neighbours across (2_5d); 3d",
    )
    merging: tuple[Merging, ...] = Field(
        default=("averaged", "merged"),
        min_length=1,
        description="glcm and glrlm: the mean of the directions' features, or features of their summed matrices",
    )
    resegment: tuple[float | None, float | None] = Field(
        default=(None, None), description="lowest and highest intensity that counts (null: no limit); the shape is of all pixels"
    )
    discretisation: Literal["fixed_bin_number", "fixed_bin_size", "none"] = Field(
        default="fixed_bin_number", description="grey levels; none: the pixels are levels, whole numbers from 1"
    )
    bin_number: int = Field(default=32, ge=2, le=MAX_LEVELS, description="of fixed_bin_number, between the extremes")
    bin_size: float = Field(
        default=25, gt=0, le=1e6, description="of fixed_bin_size, from the lower limit of resegment, else the smallest intensity"
    )
    ivh: Literal["discrete", "continuous", "arbitrary"] = Field(
        default="arbitrary", description="intensities of the volume histogram: in steps of 1, of ivh_bin_size, or 1000 bins"
    )
    ivh_bin_size: float = Field(default=1, ge=1e-9, le=1e6, description="of continuous intensities")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for name in ("groups", "dimensions", "merging"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} must differ")
        low, high = self.resegment
        if low is not None and high is not None and low >= high:
            raise ValueError("resegment is (lowest, highest)")
        return self
