"""The parameters of radiomics features, with the defaults of pyradiomics."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medray.spec import Spec

ClassName = Literal["firstorder", "shape", "shape2D", "glcm", "glrlm", "glszm", "ngtdm", "gldm"]
FilterName = Literal["original", "log", "wavelet", "square", "squareroot", "logarithm", "exponential", "gradient"]
WaveletName = Literal[
    "haar", "db2", "db3", "db4", "sym2", "sym3", "sym4", "coif1", "coif2", "coif3", "bior2.2", "bior4.4", "dmey"
]

WIDTH = 25.0


class RadiomicsParams(Spec):
    """What to measure: planes, and the slices of a volume each for itself; or volumes as such (``dimensions: 3``)."""

    family: Literal["radiomics"] = "radiomics"
    dimensions: Literal[2, 3] = Field(
        default=2, description="2: neighbours and filters in the plane, also of each slice of a volume; 3: of volumes"
    )
    classes: tuple[ClassName, ...] | None = Field(
        default=None, min_length=1, description="classes of features; by default all but the shape of the other dimension"
    )
    filters: tuple[FilterName, ...] = Field(
        default=("original",), min_length=1, description="images to measure; shape is measured once"
    )
    bin_width: float | None = Field(
        default=None, gt=0, le=1e6, description=f"width of a grey level, in units of the pixels; {WIDTH:g} without a bin_count"
    )
    bin_count: int | None = Field(
        default=None, ge=2, le=1024, description="number of grey levels between the extremes, instead of a width"
    )
    distances: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(
        default=(1,), min_length=1, description="pixels to a neighbour in GLCM, NGTDM and GLDM"
    )
    gldm_alpha: int = Field(default=0, ge=0, le=1023, description="largest difference in level of a dependent neighbour")
    array_shift: float = Field(default=0, ge=-1e6, le=1e6, description="added to the pixels for energy and root mean square")
    resegment: tuple[float, float] | None = Field(
        default=None, description="lowest and highest original value of the pixels that count, but for shape"
    )
    sigmas: tuple[Annotated[float, Field(gt=0, le=64)], ...] = Field(default=(1, 3), description="of the filter log")
    length_unit: Literal["mm", "px"] = Field(default="mm", description="unit of sigmas, and per which the gradient is taken")
    wavelet: WaveletName = Field(default="coif1", description="of the filter wavelet")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.bin_width is not None and self.bin_count is not None:
            raise ValueError("give bin_width or bin_count, not both")
        for name in ("classes", "filters", "distances", "sigmas"):
            values = getattr(self, name) or ()
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must differ")
        if self.resegment is not None and self.resegment[0] > self.resegment[1]:
            raise ValueError("resegment is (lowest, highest)")
        return self

    @property
    def chosen(self) -> tuple[ClassName, ...]:
        """The classes of features, in order."""
        shape: ClassName = "shape2D" if self.dimensions == 2 else "shape"
        return self.classes or ("firstorder", shape, "glcm", "glrlm", "glszm", "ngtdm", "gldm")

    @property
    def width(self) -> float:
        """Width of a grey level where their number is not given."""
        return WIDTH if self.bin_width is None else self.bin_width
