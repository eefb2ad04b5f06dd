"""Milliseconds for each preprocessing op on a 512 × 512 image, beside OpenCV, scikit-image and SimpleITK in the same run.

    python benchmarks/preprocess.py [--seconds 1]

Writes its section of RESULTS.md and preprocess.png. A figure of medray is the whole op, from an ``Image`` to an ``Image``, of
float32 pixels that hold whole numbers, behind a header with a window. The libraries are called bare, with the array that they
like best: OpenCV's window and CLAHE take 16 and 8 bits. Each figure is the best of rounds in which the candidates take turns,
in CPU time of one core, in a process with the environment of our actors.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import SimpleITK as sitk
from decoding import rates
from numpy.typing import NDArray
from preprocess_peers import (
    BYTES,
    HEADER,
    REFERENCE,
    STORED,
    UNIT,
    WORDS,
    Call,
    configured,
    cropped_by_opencv,
    cropped_by_skimage,
    itk,
    scored_by_opencv,
    sharpened_by_opencv,
    stretched_by_skimage,
)
from results import publish
from skimage import exposure, filters, restoration, transform

from medray.imaging import op, quantiles
from medray.imaging import table as ops
from medray.types import Image
from medray.work.environment import WORKER_ENV

PLOT = Path(__file__).with_name("preprocess.png")
LIBRARIES = ("OpenCV", "scikit-image", "SimpleITK")

NOTE = """The figures asked for are of 16-bit pixels, and of 8-bit ones for CLAHE; an `Image` holds 32-bit floats. For the 3 × 3
median that decides: OpenCV alone takes as long on them as the op does, and a third of that on 16 bits, but the way there and back
costs the difference. The second table takes apart the ops that come near 1.3 of what is asked."""


@dataclass(frozen=True)
class Row:
    """An op: its spec, on which pixels, the milliseconds asked for, and what the libraries offer for it."""

    spec: op.OpSpec
    pixels: NDArray[np.float32] = field(default_factory=lambda: WORDS)
    asked: tuple[float, ...] = ()
    peers: Mapping[str, Call] = field(default_factory=dict)
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.spec.op} {self.note}".strip()


def normalisation() -> list[Row]:
    window = configured("IntensityWindowing", WindowMinimum=0, WindowMaximum=1000, OutputMinimum=0, OutputMaximum=1)
    rescale = configured("RescaleIntensity", OutputMinimum=0, OutputMaximum=1)
    itk_reference = sitk.GetImageFromArray(UNIT)
    itk_words = sitk.GetImageFromArray(WORDS)
    match = configured("HistogramMatching", NumberOfMatchPoints=99)
    opencv_window = partial(cv2.convertScaleAbs, STORED, alpha=0.255)
    skimage_window = partial(exposure.rescale_intensity, WORDS, (0, 1000), (0, 1))
    return [
        Row(
            ops.Window(centre=500, width=1000),
            asked=(0.035,),
            peers={"OpenCV": opencv_window, "scikit-image": skimage_window, "SimpleITK": itk(window, WORDS)},
        ),
        Row(ops.Percentile(), asked=(0.1,), peers={"scikit-image": stretched_by_skimage}),
        Row(ops.Percentile(), pixels=WORDS * np.float32(0.37), note="(fractions)"),
        Row(
            ops.Minmax(),
            peers={
                "OpenCV": lambda: cv2.normalize(WORDS, None, 0, 1, cv2.NORM_MINMAX),
                "scikit-image": partial(exposure.rescale_intensity, WORDS, "image", (0, 1)),
                "SimpleITK": itk(rescale, WORDS),
            },
        ),
        Row(ops.Zscore(), peers={"OpenCV": scored_by_opencv, "SimpleITK": itk(configured("Normalize"), WORDS)}),
        Row(
            ops.HistogramMatch(reference=REFERENCE),
            peers={
                "scikit-image": partial(exposure.match_histograms, WORDS, UNIT),
                "SimpleITK": lambda: match.Execute(itk_words, itk_reference),
            },
        ),
    ]


def denoising() -> list[Row]:
    square = np.ones((3, 3))
    return [
        Row(
            ops.Median(),
            asked=(0.03,),
            peers={
                "OpenCV": partial(cv2.medianBlur, WORDS, 3),
                "scikit-image": partial(filters.median, WORDS, square),
                "SimpleITK": itk(configured("Median", Radius=1), WORDS),
            },
        ),
        Row(
            ops.Gaussian(sigma=1),
            asked=(0.27,),
            peers={
                "OpenCV": partial(cv2.GaussianBlur, WORDS, (0, 0), 1),
                "scikit-image": partial(filters.gaussian, WORDS, 1),
                "SimpleITK": itk(configured("DiscreteGaussian", Variance=1.0), WORDS),
            },
        ),
        Row(
            ops.Bilateral(radius=2, sigma_space=2, sigma_range=50),
            asked=(1.3,),
            peers={
                "OpenCV": partial(cv2.bilateralFilter, WORDS, 5, 50, 2),
                "scikit-image": partial(restoration.denoise_bilateral, WORDS, 5, 50, 2),
                "SimpleITK": itk(configured("Bilateral", DomainSigma=1.0, RangeSigma=50.0), WORDS),
            },
        ),
        Row(
            ops.NonLocalMeans(strength=20),
            peers={
                "OpenCV": lambda: cv2.fastNlMeansDenoising(BYTES, None, 3, 5, 11),
                "scikit-image": partial(restoration.denoise_nl_means, WORDS, 5, 5, 20, fast_mode=True),
            },
        ),
        Row(
            ops.WaveletDenoise(),
            peers={"scikit-image": partial(restoration.denoise_wavelet, WORDS, None, "db2", "soft", 3, rescale_sigma=False)},
        ),
        Row(
            ops.AnisotropicDiffusion(edge=30),
            peers={
                "SimpleITK": itk(
                    configured("GradientAnisotropicDiffusion", NumberOfIterations=10, TimeStep=0.125, ConductanceParameter=3.0),
                    WORDS,
                )
            },
        ),
        Row(ops.Lee()),
        Row(ops.Frost()),
    ]


def contrast_and_shape() -> list[Row]:
    blur_itk = configured("UnsharpMask", Amount=1.0, Sigmas=[2.0, 2.0])
    shrink = configured("Resample", Size=[224, 224], OutputSpacing=[512 / 224] * 2)
    resize = partial(transform.resize, WORDS, (224, 224), anti_aliasing=True, preserve_range=True)
    return [
        Row(
            ops.Clahe(),
            pixels=UNIT,
            asked=(0.65,),
            peers={
                "OpenCV": partial(cv2.createCLAHE(2, (8, 8)).apply, BYTES),
                "scikit-image": partial(exposure.equalize_adapthist, BYTES, 64),
            },
        ),
        Row(
            ops.Gamma(gamma=0.7),
            pixels=UNIT,
            peers={"OpenCV": partial(cv2.pow, UNIT, 0.7), "scikit-image": partial(exposure.adjust_gamma, UNIT, 0.7)},
        ),
        Row(
            ops.Unsharp(),
            peers={
                "OpenCV": sharpened_by_opencv,
                "scikit-image": partial(filters.unsharp_mask, WORDS, 2, 1, preserve_range=True),
                "SimpleITK": itk(blur_itk, WORDS),
            },
        ),
        Row(ops.ForegroundCrop(), asked=(0.25,), peers={"OpenCV": cropped_by_opencv, "scikit-image": cropped_by_skimage}),
        Row(
            ops.Resize(rows=224, columns=224),
            asked=(0.05, 0.35),
            peers={
                "OpenCV": partial(cv2.resize, WORDS, (224, 224), interpolation=cv2.INTER_AREA),
                "scikit-image": resize,
                "SimpleITK": itk(shrink, WORDS),
            },
        ),
    ]


def measured(row: Row, seconds: float) -> dict[str, float]:
    """Milliseconds of medray and of each library."""
    image = Image(row.pixels, header=HEADER)
    calls = {"medray": partial(ops.OPS[row.spec.op], image, row.spec), **row.peers}
    return {name: 1000 / rate for name, rate in rates(calls, seconds).items()}


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value < 10 else f"{value:,.0f}"


def op_table(rows: list[Row], figures: list[dict[str, float]]) -> str:
    lines = [f"| ms | asked | medray | of asked | {' | '.join(LIBRARIES)} |", "|" + "---|" * (4 + len(LIBRARIES))]
    for row, found in zip(rows, figures, strict=True):
        ratio = f"{found['medray'] / row.asked[-1]:.2f}" if row.asked else ""
        cells = [row.name, " – ".join(map(str, row.asked)), number(found["medray"]), ratio]
        lines.append(f"| {' | '.join(cells + [number(found.get(name)) for name in LIBRARIES])} |")
    return "\n".join(lines)


def part_table(seconds: float) -> str:
    """What the ops that are near or above 1.3 of the figure asked for are made of."""
    flat, upto = WORDS.ravel(), np.empty(quantiles.BINS, np.int64)
    levels = np.empty(BYTES.shape, np.uint8)
    clahe = sys.modules["medray.imaging.ops.clahe"]
    parts: dict[str, Call] = {
        "percentile: the smallest value": flat.min,
        "percentile: the histogram": lambda: quantiles._histogram(flat, np.float32(0), np.float32(1), True, upto),
        "percentile, window: the stretch": lambda: op.stretch(WORDS, 0, 1000),
        "percentile, window: a header without the VOI window": lambda: replace(HEADER, voi_window=None),
        "median: OpenCV, 32-bit pixels": lambda: cv2.medianBlur(WORDS, 3),
        "median: OpenCV, 16-bit pixels": lambda: cv2.medianBlur(STORED, 3),
        "median: 16-bit pixels from float32 and back": lambda: WORDS.astype(np.uint16).astype(np.float32),
        "clahe: to 256 levels": lambda: clahe._quantise(UNIT.ravel(), levels.ravel()),
        "clahe: OpenCV, 8-bit pixels": lambda: cv2.createCLAHE(2, (8, 8)).apply(BYTES),
    }
    lines = ["| part | ms |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {1000 / rate:.3f} |" for name, rate in rates(parts, seconds).items()])


def plot(rows: list[Row], figures: list[dict[str, float]]) -> None:
    """Bars of each op on a logarithmic axis, and a line at the figure asked for."""
    mpl.use("Agg")
    from matplotlib import pyplot

    names = ("medray", *LIBRARIES)
    figure, axes = pyplot.subplots(figsize=(8, 0.42 * len(rows) + 1.2), layout="constrained")
    places = np.arange(len(rows))[::-1]
    for index, (name, colour) in enumerate(zip(names, ("#0b5fa5", "#8fb8de", "#c9c9c9", "#8a8a8a"), strict=True)):
        values = [found.get(name, np.nan) for found in figures]
        axes.barh(places + 0.3 - 0.2 * index, values, 0.2, label=name, color=colour)
    for place, row in zip(places, rows, strict=True):
        if row.asked:
            axes.plot([row.asked[-1]] * 2, [place - 0.42, place + 0.42], color="#c0392b", linewidth=1.5)
    axes.plot([], [], color="#c0392b", linewidth=1.5, label="asked")
    axes.set(xscale="log", xlim=(0.01, None), xlabel="milliseconds for 512 × 512 pixels, one core", ylim=(-0.6, len(rows) - 0.4))
    axes.set_yticks(places, [row.name for row in rows])
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(PLOT, dpi=110)


def main() -> None:
    """Measure everything, write the section and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each figure")
    arguments = parser.parse_args()
    if not WORKER_ENV.keys() <= os.environ.keys():  # the C library reads some of it when a process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **WORKER_ENV})
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    rows = [*normalisation(), *denoising(), *contrast_and_shape()]
    figures = [measured(row, arguments.seconds) for row in rows]
    plot(rows, figures)
    body = "\n\n".join([NOTE, op_table(rows, figures), f"![milliseconds of each op]({PLOT.name})", part_table(arguments.seconds)])
    publish("Preprocessing", "python benchmarks/preprocess.py", body)


if __name__ == "__main__":
    main()
