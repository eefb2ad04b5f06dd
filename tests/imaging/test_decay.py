"""The exponential of the filters' weights."""

from __future__ import annotations

import numpy as np

from medray.imaging.decay import CUT, decay


def test_it_is_the_exponential_until_it_is_cut() -> None:
    exponents = np.linspace(0, CUT, 500, dtype=np.float32)[:-1]
    np.testing.assert_allclose([decay(one) for one in exponents], np.exp(-exponents), atol=1e-5)
    assert decay(np.float32(0)) == 1
    assert [decay(np.float32(one)) for one in (CUT, 1e30, np.inf)] == [0, 0, 0]
