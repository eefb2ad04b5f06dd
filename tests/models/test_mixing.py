"""mixup and cutmix: shares, boxes, targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.models.cnn.mixing import Mixed, mixed, partners, targets_of
from medray.models.cnn.params import CnnParams


def test_nothing_is_mixed_by_default() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((4, 8, 8), dtype=np.float32)
    order, share = partners(CnnParams(), 4, rng)
    assert share == 1
    assert mixed(x, order, share, CnnParams(), rng)[0] is x
    y = torch.arange(4)
    assert targets_of(y, order, share) is y


@given(st.integers(0, 2**32 - 1), st.sampled_from(["mixup", "cutmix"]), st.sampled_from([(8, 9), (3, 16, 16)]))
def test_an_image_is_made_of_two_in_the_share_of_their_targets(seed: int, way: str, shape: tuple[int, ...]) -> None:
    params, rng = CnnParams.model_validate({way: 0.4}), np.random.default_rng(seed)
    x = np.stack([np.full(shape, value, dtype=np.float32) for value in range(5)])
    order, share = partners(params, 5, rng)
    found, share = mixed(x, order, share, params, rng)
    assert (found.dtype, found.shape) == (np.float32, x.shape)
    assert 0 <= share <= 1
    expected = share * np.arange(5) + (1 - share) * order
    np.testing.assert_allclose(found.reshape(5, -1).mean(axis=1), expected, atol=1e-5)
    if way == "cutmix":
        assert all(set(np.unique(image)) <= {number, order[number]} for number, image in enumerate(found))


def test_the_loss_is_that_of_both_targets() -> None:
    targets = targets_of(torch.tensor([0, 1, 2]), np.array([2, 0, 1]), 0.75)
    assert isinstance(targets, Mixed)
    assert targets.second.tolist() == [2, 0, 1]
    assert targets.loss(torch.tensor(4.0), torch.tensor(8.0)).item() == 5


def test_one_way_at_a_time() -> None:
    with pytest.raises(ValidationError, match="mixup and cutmix: set one of them"):
        CnnParams(mixup=0.2, cutmix=1)
