"""Phantom images with known findings: a pure function of (spec, index).

A phantom holds no lesion (normal), or one whose traits lean towards the benign or the malignant pattern of BI-RADS
(ACR, 5th ed.): malignant lesions tend to be irregular, spiculated, blurred, taller than wide and shadowing; benign ones
smooth, sharp, wider than tall and enhancing. How far the two classes overlap is set by ``difficulty``.

``speckle`` follows the convolution model of B-mode ultrasound (Bamber & Dickinson 1980): complex Gaussian scatterers,
weighted by the echogenicity of layered tissue, blurred by the pulse, envelope-detected and log-compressed. ``noise`` is
a projection radiograph: masses in structure of a power-law spectrum (Burgess et al. 2001) under white noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medray.errors import ConfigError
from medray.spec import Spec
from medray.types import Bool, Float32

Finding = Literal["normal", "benign", "malignant"]

_GOLDEN = 0.6180339887498949
_DB_FLOOR, _DB_RANGE = -36.0, 58.0
_LAYERS = ((0.00, 4.0), (0.07, -11.0), (0.27, 0.0), (0.78, -6.0))
"""Skin, fat, gland, muscle: depth of the upper edge as a share of the rows, echogenicity in dB."""


class SyntheticSpec(Spec):
    """A synthetic archive: one study per patient."""

    patients: int = Field(default=100, ge=1, le=10**9, description="patients, one study each")
    images_per_study: int = Field(default=1, ge=1, le=1000, description="views of the same finding")
    rows: int = Field(default=128, ge=32, le=4096, description="pixels")
    columns: int = Field(default=128, ge=32, le=4096, description="pixels")
    prevalence: float = Field(default=0.35, ge=0, le=1, description="share of the patients with a malignant lesion")
    normal_share: float = Field(default=0.25, ge=0, le=1, description="share of the others without any lesion")
    difficulty: float = Field(default=0.4, ge=0, le=1, description="overlap of benign and malignant; 0 none, 1 most")
    texture: Literal["speckle", "noise"] = Field(default="speckle", description="speckle: US, 8 bits; noise: CR, 16 bits")
    transfer_syntax: Literal["explicit", "rle", "jpegls", "jpeg2000"] = "explicit"
    seed: int = Field(default=0, ge=0, lt=2**63)

    @property
    def count(self) -> int:
        """Number of images."""
        return self.patients * self.images_per_study


@dataclass(frozen=True)
class Phantom:
    """One image and its truth.

    Attributes:
        pixels: uint8 (speckle) or uint16 (noise), (rows, columns).
        lesion: bool (rows, columns), the inside of the lesion; all False where there is none.
        finding: what the image shows.
    """

    pixels: NDArray[Any]
    lesion: Bool
    finding: Finding

    @property
    def malignant(self) -> int:
        """1 where the finding is malignant, else 0."""
        return int(self.finding == "malignant")


@dataclass(frozen=True)
class Lesion:
    """The traits of a lesion.

    Attributes:
        radius: geometric mean radius as a share of the shorter image side.
        aspect: height / width.
        margin: width of the edge as a share of the radius.
        lobes, spicules: amplitudes of the outline's slow and fast waves, as shares of the radius.
        contrast: of the inside to its surroundings, 1 = a typical lesion.
        posterior: echoes behind the lesion, from −1 (shadow) to 1 (enhancement).
        phases: radians (6,), of the outline's waves.
    """

    radius: float
    aspect: float
    margin: float
    lobes: float
    spicules: float
    contrast: float
    posterior: float
    phases: NDArray[np.float64]


@dataclass(frozen=True)
class _Placed:
    """A lesion as it lies in one image; float32 (rows, columns) each."""

    inside: Float32
    behind: Float32


def finding_of(spec: SyntheticSpec, patient: int) -> Finding:
    """The finding of a patient. Any run of neighbouring patients has nearly the specified shares (a Weyl sequence)."""
    place = (spec.seed * 0.7548776662466927 + (patient + 1) * _GOLDEN) % 1.0
    if place < spec.prevalence:
        return "malignant"
    return "normal" if place >= 1 - (1 - spec.prevalence) * spec.normal_share else "benign"


def phantom(spec: SyntheticSpec, index: int) -> Phantom:
    """The image number ``index`` of the archive: the same for the same spec and index, in any order and process.

    Raises:
        ConfigError: ``SYNTHETIC_INDEX`` when the archive has no such image.
    """
    if not 0 <= index < spec.count:
        raise ConfigError("SYNTHETIC_INDEX", f"image {index} of a synthetic archive of {spec.count}", "count from 0")
    patient, view = divmod(index, spec.images_per_study)
    finding = finding_of(spec, patient)
    rng = np.random.default_rng([spec.seed, patient, view + 1])
    placed = None
    if finding != "normal":
        traits = _lesion(finding, spec.difficulty, np.random.default_rng([spec.seed, patient]))
        placed = _place(traits, spec.rows, spec.columns, rng)
    draw = _speckle if spec.texture == "speckle" else _radiograph
    lesion = np.zeros((spec.rows, spec.columns), bool) if placed is None else placed.inside > 0.5
    return Phantom(draw(placed, spec.rows, spec.columns, rng), lesion, finding)


def _lesion(finding: Finding, difficulty: float, rng: np.random.Generator) -> Lesion:
    """Traits drawn around one latent suspicion; its classes lie ``separation`` standard deviations apart."""
    separation = 5.0 - 5.0 * difficulty
    suspicion = rng.normal() + separation * (0.5 if finding == "malignant" else -0.5)

    def trait(benign: float, malignant: float) -> float:
        share = 1 / (1 + np.exp(-1.5 * (suspicion + 0.7 * rng.normal())))
        return float(benign + (malignant - benign) * share)

    return Lesion(
        radius=float(np.exp(rng.uniform(np.log(0.10), np.log(0.20)))),
        aspect=trait(0.55, 1.15),
        margin=trait(0.06, 0.45),
        lobes=trait(0.02, 0.16),
        spicules=trait(0.0, 0.30),
        contrast=trait(0.8, 1.15),
        posterior=trait(0.9, -1.0),
        phases=rng.uniform(0, 2 * np.pi, 6),
    )


def _place(lesion: Lesion, rows: int, columns: int, rng: np.random.Generator) -> _Placed:
    """The lesion at a random place, size and tilt of one view."""
    side = min(rows, columns) * lesion.radius * rng.uniform(0.9, 1.1)
    width, height = side / np.sqrt(lesion.aspect), side * np.sqrt(lesion.aspect)
    x0, y0 = columns * rng.uniform(0.3, 0.7), rows * rng.uniform(0.38, 0.6)
    tilt = rng.uniform(-0.25, 0.25)
    y, x = np.ogrid[: float(rows), : float(columns)]
    across = ((x - x0) * np.cos(tilt) + (y - y0) * np.sin(tilt)) / width
    down = ((y - y0) * np.cos(tilt) - (x - x0) * np.sin(tilt)) / height
    inside = _step((_outline(lesion, np.arctan2(down, across)) - np.hypot(across, down)) / lesion.margin)
    beam = _step((1 - np.abs(x - x0) / width) / 0.2) * _step((y - y0 - 0.8 * height) / (0.25 * height))
    behind = lesion.posterior * beam * np.exp(-np.maximum(y - y0, 0) / (0.5 * rows))
    return _Placed((lesion.contrast * inside).astype(np.float32), behind.astype(np.float32))


def _outline(lesion: Lesion, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius of the outline at each angle (radians), 1 on average: slow waves, and spicules as narrow peaks."""
    slow = sum(np.cos(order * angle + lesion.phases[order]) / order for order in (2, 3, 4, 5))
    peaks = np.cos((7 + int(lesion.phases[0])) * angle / 2 + lesion.phases[1]) ** 8
    radius: NDArray[np.float64] = 1 + lesion.lobes * slow + lesion.spicules * (peaks - 0.27)
    return radius


def _speckle(placed: _Placed | None, rows: int, columns: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A B-mode image, uint8."""
    depth = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    echo_db = _tissue_db(rows, columns, rng) - rng.uniform(2, 10) * depth + rng.uniform(-3, 3)
    if placed is not None:
        echo_db += -13 * placed.inside + 8 * placed.behind
    scale = np.sqrt(max(rows, columns) / 128)
    lateral, axial = 1.3 * scale, 0.7 * scale
    scatterers = rng.standard_normal((2, rows, columns), np.float32) * np.exp(echo_db * (np.log(10) / 20))
    real, imaginary = (cv2.GaussianBlur(part, (0, 0), lateral, sigmaY=axial) for part in scatterers)
    power = (real**2 + imaginary**2) * (4 * np.pi * lateral * axial)
    compressed = (10 * np.log10(power + 1e-9) - _DB_FLOOR) / _DB_RANGE
    return np.asarray(np.clip(compressed * 255, 0, 255), np.uint8)


def _tissue_db(rows: int, columns: int, rng: np.random.Generator) -> Float32:
    """Echogenicity of layered tissue in dB, float32 (rows, columns)."""
    x = np.linspace(0, 1, columns, dtype=np.float32)
    depth = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    tissue = np.float32(3.5) * _smooth_field(rows, columns, 7, rng)
    above = 0.0
    for edge, level in _LAYERS:
        wave = 0.03 * np.sin(2 * np.pi * (rng.uniform(0.5, 2) * x + rng.uniform(0, 1)))
        tissue += (level - above) * _step((depth - edge * rng.uniform(0.9, 1.1) - (wave if edge > 0.1 else 0)) / 0.012)
        above = level
    return tissue.astype(np.float32)


def _radiograph(placed: _Placed | None, rows: int, columns: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    """A projection radiograph, uint16, denser tissue brighter."""
    octaves = [_smooth_field(rows, columns, cells, rng) / cells for cells in (3, 6, 12, 24)]
    density = 0.35 + 0.22 * np.sum(octaves, axis=0, dtype=np.float32)
    if placed is not None:
        density += 0.15 * placed.inside
    noisy = density + 0.035 * rng.standard_normal((rows, columns), np.float32)
    return np.asarray(np.clip(noisy * 65535, 0, 65535), np.uint16)


def _smooth_field(rows: int, columns: int, cells: int, rng: np.random.Generator) -> Float32:
    """A random field of unit variance at its nodes that varies over ``cells`` cells a side, float32 (rows, columns)."""
    nodes = rng.standard_normal((cells + 1, cells + 1), np.float32)
    return np.asarray(cv2.resize(nodes, (columns, rows), interpolation=cv2.INTER_CUBIC), np.float32)


def _step(x: NDArray[Any]) -> NDArray[Any]:
    """A smooth step from 0 to 1 about x = 0 (the logistic function, in a form that cannot overflow)."""
    return np.asarray(0.5 + 0.5 * np.tanh(2 * x))
