"""The pydicom plugin: it registers once, and knows the size of a code stream before it decodes."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from medray.data import codecs


def test_registering_twice_offers_the_plugin_once() -> None:
    codecs.register()
    codecs.register()
    for syntax in codecs.DECODER_DEPENDENCIES:
        assert get_decoder(syntax).available_plugins.count(codecs.PLUGIN) == 1
    assert codecs.is_available(JPEG2000Lossless)
    assert not codecs.is_available(RLELossless)
    assert not codecs.is_available(ExplicitVRLittleEndian)


@pytest.mark.parametrize("shape", [(7, 30), (31, 5, 3)])
@pytest.mark.parametrize(
    "encode",
    [
        lambda x: imagecodecs.jpeg8_encode(x),
        lambda x: imagecodecs.jpegls_encode(x),
        lambda x: imagecodecs.jpeg2k_encode(x, codecformat="j2k"),
        lambda x: imagecodecs.jpeg2k_encode(x, codecformat="jp2"),
        lambda x: imagecodecs.htj2k_encode(x),
    ],
    ids=["jpeg", "jpeg-ls", "j2k", "jp2", "htj2k"],
)
def test_the_size_that_a_code_stream_states(encode: object, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    rows, columns, *components = shape
    assert codecs.stated_shape(bytes(encode(pixels))) == (rows, columns, (components or [1])[0])  # type: ignore[operator]


@given(st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\x4f\xff\x51"]))
def test_any_bytes_state_a_size_or_none(tail: bytes, start: bytes) -> None:
    rows, columns, components = codecs.stated_shape(start + tail)
    assert isinstance(rows + columns + components, int)
