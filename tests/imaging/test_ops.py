"""Preprocessing ops keep dtype, range, mask and header in step."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medray.errors import Excluded
from medray.imaging import table as ops
from medray.types import Header, Image, RealWorldMap, SuvFactor

SPECS = [
    ops.Window(),
    ops.Window(centre=0.3, width=5),
    ops.Percentile(low=1, high=99),
    ops.ForegroundCrop(threshold=0.2, margin=1),
    ops.Median(kernel=5),
    ops.Gaussian(sigma=1.4),
    ops.Clahe(tiles=3),
    ops.Resize(rows=5, columns=7),
    ops.Resize(rows=9, columns=4, keep_aspect=True),
    ops.Pad(rows=20, columns=21),
    ops.BodyCrop(opening=1, outside="invalid"),
    ops.BodyCrop(threshold=100, margin=2),
    ops.BoxCrop(top=1, left=2, rows=4, columns=3),
    ops.BreastCrop(outside="invalid"),
    ops.CentreCrop(rows=5, columns=4),
    ops.Check(),
    ops.Collimator(level=0.3, straightness=0.8),
    ops.Collimator(level=0.3, straightness=0.8, action="invalid"),
    ops.Fill(modality="US", spacing_mm=(0.1, 0.2)),
    ops.LungCrop(threshold=-100, outside="invalid"),
    ops.Orient(unknown="keep"),
    ops.Resample(row_mm=0.7, column_mm=0.3),
    ops.TextMask(lowest=2),
    ops.TextMask(lowest=2, fill="inpaint"),
    ops.BiasField(shrink=1, levels=1, iterations=2),
    ops.Minmax(),
    ops.Zscore(),
    ops.HistogramMatch(reference=(-5, 0, 0, 3, 90)),
    ops.Bilateral(sigma_range=30),
    ops.NonLocalMeans(patch=1, search=2, strength=50),
    ops.WaveletDenoise(),
    ops.WaveletDenoise(wavelet="haar", threshold="visu", mode="hard", noise=9),
    ops.AnisotropicDiffusion(edge=40),
    ops.AnisotropicDiffusion(edge=2, conduction="rational"),
    ops.Lee(),
    ops.Frost(radius=2),
    ops.Gamma(gamma=0.6),
    ops.Unsharp(amount=4),
    ops.Suv(),
    ops.RealWorld(units="mm2/s"),
    ops.RealWorld(units="1"),
]
INTO_UNIT_RANGE = ops.Window | ops.Percentile | ops.Minmax | ops.Clahe | ops.Gamma
"""Ops whose results lie in [0, 1]."""
MARK_INVALID = ops.Pad | ops.TextMask | ops.Collimator | ops.BodyCrop | ops.BreastCrop | ops.LungCrop | ops.RealWorld
"""Ops that may make a mask of valid pixels."""
HEADER = Header(spacing_mm=(0.4, 0.2), position_mm=(1.0, 2.0, 3.0), orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0))


MAPS = (
    RealWorldMap("mm2/s", "", -50, 900, 1e-6, 0.5),
    RealWorldMap("1", "", -np.inf, np.inf, 0.25, -3, np.array([2.0, -7, 1e30])),
)


def apply(image: Image, spec: Any) -> Image:
    return ops.OPS[spec.op](image, spec)


def images_of(shapes: Any, elements: Any) -> Any:
    """Images of such shapes; half of them with a mask of valid pixels, at least one, and a region of interest."""
    return st.tuples(shapes, st.booleans()).flatmap(
        lambda drawn: st.builds(
            Image,
            arrays(np.float32, drawn[0], elements=elements),
            arrays(bool, drawn[0]).filter(lambda valid: bool(valid.any())) if drawn[1] else st.none(),
            st.just(HEADER),
            mask=arrays(bool, drawn[0]) if drawn[1] else st.none(),
            slice_spacing_mm=st.just(2.0 if len(drawn[0]) == 3 else None),
            real_world=st.just(MAPS),
            suv=st.just(SuvFactor(3e-4)),
        )
    )


USUAL = st.floats(-1000, 4000, width=32)
PLANES = st.tuples(st.integers(1, 20), st.integers(1, 20))
VOLUMES = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9))


def keeps_the_invariants(image: Image, spec: Any) -> None:
    before = image.pixels.copy()
    try:
        result = apply(image, spec)
    except Excluded:
        return
    assert result.pixels.dtype == np.float32
    assert result.pixels.ndim == image.pixels.ndim
    assert result.pixels.flags.c_contiguous
    assert result.pixels.size > 0
    assert np.isfinite(result.pixels).all()
    assert result.valid is not None or image.valid is None
    assert result.valid is None or image.valid is not None or isinstance(spec, MARK_INVALID)
    assert (result.mask is None) == (image.mask is None)
    for mask in (result.valid, result.mask):
        assert mask is None or (mask.dtype == bool and mask.shape == result.pixels.shape)
    if isinstance(spec, INTO_UNIT_RANGE):
        assert result.pixels.min() >= 0
        assert result.pixels.max() <= 1
    np.testing.assert_array_equal(image.pixels, before)
    np.testing.assert_array_equal(apply(image, spec).pixels, result.pixels)


@settings(deadline=None, max_examples=30)
@given(images_of(PLANES, USUAL))
@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_every_op_keeps_the_invariants(spec: Any, image: Image) -> None:
    keeps_the_invariants(image, spec)


@settings(deadline=None, max_examples=15)
@given(images_of(VOLUMES, USUAL))
@pytest.mark.parametrize("spec", [spec for spec in SPECS if 3 in spec.dimensions], ids=repr)
def test_every_op_of_volumes_keeps_the_invariants(spec: Any, image: Image) -> None:
    keeps_the_invariants(image, spec)


@settings(deadline=None, max_examples=20)
@given(images_of(PLANES, st.floats(width=32, allow_nan=False, allow_infinity=False)))
@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_every_op_takes_the_whole_range_of_float32(spec: Any, image: Image) -> None:
    keeps_the_invariants(image, spec)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_results_do_not_depend_on_the_number_of_threads(spec: Any) -> None:
    rng = np.random.default_rng(0)
    pixels, valid = rng.normal(200, 300, (300, 400)).astype(np.float32), rng.random((300, 400)) < 0.99
    image = Image(pixels, valid, HEADER, real_world=MAPS, suv=SuvFactor(3e-4))
    before = cv2.getNumThreads()
    results = []
    for threads in (1, 2):
        cv2.setNumThreads(threads)
        try:
            results.append(apply(image, spec).pixels)
        except Excluded:
            pytest.skip("not an image of this op")
        finally:
            cv2.setNumThreads(before)
    np.testing.assert_array_equal(*results)


def test_table_holds_every_spec_under_its_own_name() -> None:
    assert {spec.op for spec in SPECS} == set(ops.OPS)
