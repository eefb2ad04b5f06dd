"""Transfer syntax × photometric interpretation × depth: each cell decodes to what was stored, as pydicom and the docs say."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
import syntax_matrix as matrix
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

DOCS = Path(__file__).parents[3] / "docs" / "transfer-syntaxes.md"
DEFINED = [
    pytest.param(syntax, kind, id=f"{UID(syntax.uid).keyword}-{kind.title}")
    for syntax in matrix.SYNTAXES
    for kind in matrix.KINDS
    if syntax.defined(kind)
]


def test_the_table_in_the_docs_is_what_a_run_gives() -> None:
    assert DOCS.read_text() == matrix.table(matrix.run())


@pytest.mark.parametrize(("syntax", "kind"), DEFINED)
def test_pydicom_has_the_same_values(syntax: matrix.Syntax, kind: matrix.Kind) -> None:
    data = matrix.file_bytes(matrix.dataset(syntax, kind, matrix.values_of(kind)))
    ours = matrix.stored(data).astype(int)
    lossy_jpeg = syntax.encode is matrix.jpeg  # libjpeg has its own inverse DCT and chrominance filter: Pillow's, not pylibjpeg's
    for theirs in by_pydicom(data)[: 1 if lossy_jpeg else None]:
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs.astype(int)).max() <= (1 if lossy_jpeg or kind.photometric == "YBR_ICT" else 0)


def by_pydicom(data: bytes) -> list[np.ndarray]:
    """What each decoder of pydicom makes of it; none where none can (12-bit JPEG)."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    try:
        decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    except NotImplementedError:  # it does not know the newer ones
        return []
    found = []
    for plugin in decoder.available_plugins or [""]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(decoder.as_array(dataset, decoding_plugin=plugin)[0])
        except RuntimeError:
            continue
    return found
