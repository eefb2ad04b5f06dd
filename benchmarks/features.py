"""Features on one core, beside pyradiomics and the general libraries, in the same run.

    python benchmarks/features.py [--rounds 15]

The image is 512 × 512 with whole grey levels: structure at two scales and a little noise ("structured"), pure noise, and a CT
slice enlarged. Each figure is the best of rounds in CPU time of this process. medray's classes are timed in one extraction and
one by one, in which case each starts from the pixels, as pyradiomics' do. pyradiomics is given a cropped image, class by class.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import radiomics
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.data import get_testdata_file
from radiomics.imageoperations import checkMask, cropToTumorMask
from results import publish
from scipy import stats
from skimage.feature import graycomatrix, graycoprops
from skimage.measure import regionprops
from threadpoolctl import threadpool_limits

from medray.features.families import FAMILIES
from medray.features.lbp import LbpParams
from medray.features.radiomics.family import RADIOMICS
from medray.features.radiomics.params import RadiomicsParams
from medray.types import Bool, Float32, Header, Image

matplotlib.use("Agg")

SIDE, LEVELS = 512, 32
TEXTURES = ("glcm", "glrlm", "glszm", "ngtdm", "gldm")
PLANE = ("firstorder", "shape2D", *TEXTURES)
VOLUME = ("firstorder", "shape", *TEXTURES)
ASKED = {"textures": (8.0, 3.4), "firstorder": (1.0, 1.0), "shape2D": (1.0, 1.0), "lbp": (0.7,)}
ASKED_RATIO = {"textures": 13, "whole family": 20}
PLOT = Path(__file__).with_suffix(".png")


def structured() -> Float32:
    """Blobs of 24 and of 2 pixels and noise, in whole numbers around 1000."""
    rng = np.random.default_rng(0)
    parts = [cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE)), (0, 0), sigma) for sigma in (24, 2)]
    coarse, fine = (part / part.std() for part in parts)
    return np.rint(1000 + 180 * coarse + 90 * fine + 6 * rng.normal(size=(SIDE, SIDE))).astype(np.float32)


def noise() -> Float32:
    return np.rint(np.random.default_rng(0).normal(1000, 150, (SIDE, SIDE))).astype(np.float32)


def ct() -> Float32:
    pixels = dcmread(get_testdata_file("CT_small.dcm")).pixel_array.astype(np.float32)
    return np.rint(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)).astype(np.float32)


def ellipse(*sides: int) -> Bool:
    """The axes are 0.7 of the first side (or two) and 0.9 of the last."""
    places = np.indices(sides)
    radii = (*(0.35 * side for side in sides[:-1]), 0.45 * sides[-1])
    return np.sum([((p - s / 2) / r) ** 2 for p, s, r in zip(places, sides, radii, strict=True)], axis=0) <= 1


def best_ms(call: Callable[[], object], rounds: int) -> float:
    """CPU time of the quickest of some calls, after one that is not counted."""
    call()
    times = []
    for _ in range(rounds):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return 1e3 * min(times)


def medray_ms(image: Image, classes: Sequence[str], rounds: int) -> dict[str, float]:
    """Each class by itself, the textures, and the whole family."""
    groups = {name: (name,) for name in classes} | {"textures": TEXTURES, "whole family": tuple(classes)}
    found = {}
    for name, chosen in groups.items():
        params = RadiomicsParams(bin_count=LEVELS, classes=chosen, dimensions=image.pixels.ndim)
        found[name] = best_ms(lambda params=params: RADIOMICS.extract(image, params), rounds)
    return found


def pyradiomics_ms(image: Image, classes: Sequence[str], rounds: int) -> dict[str, float]:
    """Each class, and the sums of the textures and of all."""
    region = np.ones(image.pixels.shape, np.uint8) if image.mask is None else image.mask.astype(np.uint8)
    pixels, mask = sitk.GetImageFromArray(image.pixels.astype(np.float64)), sitk.GetImageFromArray(region)
    for one in (pixels, mask):
        one.SetSpacing(tuple(reversed(image.spacing_mm)))
    box, _ = checkMask(pixels, mask)
    pixels, mask = cropToTumorMask(pixels, mask, box)
    kinds = radiomics.getFeatureClasses()
    found = {name: best_ms(lambda name=name: kinds[name](pixels, mask, binCount=LEVELS).execute(), rounds) for name in classes}
    return found | {"textures": sum(found[name] for name in TEXTURES), "whole family": sum(found.values())}


def others_ms(image: Image, rounds: int) -> dict[str, tuple[str, float]]:
    """What general libraries have of a class, and what it costs there."""
    pixels = image.pixels
    levels = np.clip((pixels - pixels.min()) / np.ptp(pixels) * LEVELS, 0, LEVELS - 1).astype(np.uint8)
    outline = ellipse(SIDE, SIDE).astype(np.uint8)

    def first_order() -> None:
        stats.describe(pixels, axis=None)
        np.percentile(pixels, [10, 25, 50, 75, 90])
        stats.entropy(np.bincount(levels.ravel()), base=2)

    def cooccurrence() -> None:
        matrices = graycomatrix(levels, [1], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], LEVELS, symmetric=True, normed=True)
        for name in ("contrast", "dissimilarity", "homogeneity", "ASM", "energy", "correlation"):
            graycoprops(matrices, name)

    def shape_cv2() -> None:
        contours, _ = cv2.findContours(outline, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.arcLength(contours[0], True), cv2.contourArea(contours[0]), cv2.minEnclosingCircle(contours[0])
        cv2.moments(outline, binaryImage=True)

    def shape_skimage() -> list[float]:
        found = regionprops(outline)[0]
        names = ("area", "perimeter", "axis_major_length", "axis_minor_length", "eccentricity", "feret_diameter_max")
        return [getattr(found, name) for name in names]

    return {
        "firstorder": ("SciPy, 12 of 18", best_ms(first_order, rounds)),
        "glcm": ("scikit-image, 6 of 24", best_ms(cooccurrence, rounds)),
        "shape2D, mask": ("cv2, 4 of 9", best_ms(shape_cv2, rounds)),
        "shape2D, mask ": ("scikit-image, 6 of 9", best_ms(shape_skimage, min(rounds, 5))),
    }


def table(image: Image, classes: Sequence[str], rounds: int, masked: bool) -> tuple[str, dict[str, tuple[float, float]]]:
    """A Markdown table, and both times of each row."""
    ours, theirs = medray_ms(image, classes, rounds), pyradiomics_ms(image, classes, max(2, rounds // 5))
    lines = ["| | medray, ms (asked) | pyradiomics, ms | × (asked) |", "|---|---|---|---|"]
    for name, value in ours.items():
        asked = f" ({ASKED[name][masked]:g})" if name in ASKED and SIDE in image.pixels.shape else ""
        ratio = f" ({ASKED_RATIO[name]})" if name in ASKED_RATIO else ""
        lines.append(f"| {name} | {value:.2f}{asked} | {theirs[name]:.1f} | {theirs[name] / value:.1f}{ratio} |")
    return "\n".join(lines), {name: (ours[name], theirs[name]) for name in ours}


def families_table(rounds: int) -> str:
    """Every family of the feature table with its default parameters."""
    pixels = structured()
    low, high = np.percentile(pixels, [1, 99])
    image = Image(np.clip((pixels - low) / (high - low), 0, 1).astype(np.float32), header=Header(spacing_mm=(0.5, 0.5)))
    lines = ["| family, default parameters | columns | ms (asked) |", "|---|---|---|"]
    for name, family in FAMILIES.items():
        params = family.params()
        if name == "radiomics":
            params = RadiomicsParams(bin_count=LEVELS)
        if 2 in family.dimensions:
            spent = best_ms(lambda family=family, params=params: family.extract(image, params), max(2, rounds // 3))
            lines.append(f"| {name} | {len(family.features(params))} | {spent:.2f} |")
    one = LbpParams(radii=(1,))
    spent = best_ms(lambda: FAMILIES["lbp"].extract(image, one), max(2, rounds // 3))
    lines.append(f"| lbp of radius 1 alone | {len(FAMILIES['lbp'].features(one))} | {spent:.2f} ({ASKED['lbp'][0]:g}) |")
    return "\n".join(lines)


def plot(rows: dict[str, dict[str, tuple[float, float]]]) -> None:
    """Times of each class on the structured image, whole and masked."""
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(rows), figsize=(4.6 * len(rows), 3.4), sharey=False, layout="constrained")
    for panel, (title, times) in zip(panels, rows.items(), strict=True):
        places = np.arange(len(times))
        for shift, (label, index, colour) in enumerate((("pyradiomics", 1, "#b8bcc4"), ("medray", 0, "#1f77b4"))):
            values = [pair[index] for pair in times.values()]
            bars = panel.barh(places + 0.2 - 0.4 * shift, values, 0.38, label=label, color=colour)
            panel.bar_label(bars, [f"{value:.1f}" for value in values], padding=2, fontsize=7)
        panel.set_yticks(places, list(times), fontsize=8)
        panel.set_xscale("log")
        panel.margins(x=0.2)
        panel.invert_yaxis()
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("ms of CPU time, one core", fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=8, loc="outside upper right", ncols=2)
    figure.savefig(PLOT, dpi=110)
    plt.close(figure)


def main() -> None:
    """Everything on one thread."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    with threadpool_limits(1):
        run(parser.parse_args().rounds)


def run(rounds: int) -> None:
    """All tables, the plot and the section."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    cv2.setNumThreads(1)
    header = Header(spacing_mm=(0.5, 0.5))
    body, shown = [], {}
    for name, pixels in (("structured", structured()), ("noise", noise()), ("enlarged CT", ct())):
        for masked in (False, True):
            title = f"{name}, {'ellipse' if masked else 'whole image'}"
            image = Image(pixels, header=header, mask=ellipse(SIDE, SIDE) if masked else None)
            text, times = table(image, PLANE, rounds, masked)
            body.append(f"### {title.capitalize()}, {SIDE}², {LEVELS} levels\n\n{text}\n")
            if name == "structured":
                shown[title] = times
    volume = np.rint(cv2.resize(structured(), (128, 128 * 48)).reshape(48, 128, 128)).astype(np.float32)
    image = Image(volume, header=header, mask=ellipse(48, 128, 128), slice_spacing_mm=2)
    text, shown["ellipsoid in a volume"] = table(image, VOLUME, max(2, rounds // 3), True)
    body.append(f"### Ellipsoid in a volume of 48 × 128 × 128, {LEVELS} levels, 13 directions\n\n{text}\n")
    peers = others_ms(Image(structured()), rounds)
    lines = [f"| {name.strip()} | {library} | {spent:.2f} |" for name, (library, spent) in peers.items()]
    body.append("### General libraries\n\n" + "\n".join(["| class | library | ms |", "|---|---|---|", *lines]) + "\n")
    body.append(f"### Every family, structured image\n\n{families_table(rounds)}\n")
    plot(shown)
    note = (
        "Textures are GLCM, GLRLM, GLSZM, NGTDM and GLDM, 75 features. On another machine, and not measured here: pictologics "
        "8.3 ms for the textures, with an ellipse 3.4; nyxus 176; flash-radiomics 1,950; pyradiomics 115 and 54.\n\n"
        "![Features](features.png)\n"
    )
    publish("Features", "python benchmarks/features.py", note + "\n" + "\n".join(body))


if __name__ == "__main__":
    main()
