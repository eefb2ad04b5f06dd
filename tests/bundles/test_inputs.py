"""Decoded inputs in groups: memory is held by few large images, or many small ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medray.bundles.inputs import in_groups
from medray.errors import Excluded, MedrayError
from medray.types import Image

SMALL, LARGE = Image(np.zeros((4, 4), np.float32)), Image(np.zeros((4096, 4096), np.float32))
REFUSED = Excluded("IMAGE_TOO_LARGE", "it is")


@given(kinds=st.lists(st.sampled_from([SMALL, LARGE, REFUSED]), max_size=20), most=st.integers(1, 6))
def test_groups_keep_the_order_and_end_early_where_images_are_large(kinds: list[Image | MedrayError], most: int) -> None:
    groups = list(in_groups(iter(enumerate(kinds)), most))
    assert [item for group in groups for item in group] == list(enumerate(kinds))
    for group in groups:
        assert 1 <= len(group) <= most
        assert all(image is not LARGE for _, image in group[:-1]), "64 MiB were waiting already"
    assert all(len(group) == most or group[-1][1] is LARGE for group in groups[:-1])
