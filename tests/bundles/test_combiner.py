"""Combined answers: means, and regressions on the answers of several models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.bundles.combiner import Combiner, check_combiner, combine, fit_combiner
from medray.errors import ConfigError, ModelError
from medray.evaluation.curves import auroc
from medray.tasks.head import Head, Output

TWO, THREE, VALUE = Head("classes", 2), Head("classes", 3), Head("value")


def answers(truth: np.ndarray, classes: int, noise: float, seed: int) -> Output:
    """Probabilities that lean towards the truth, under noise."""
    raw = np.eye(classes)[truth] + np.random.default_rng(seed).normal(0, noise, (len(truth), classes))
    raised = np.exp(raw)
    return {"probability": raised / raised.sum(axis=1, keepdims=True)}


@given(st.integers(0, 1000), st.integers(2, 4))
def test_the_mean_is_that_of_the_members(seed: int, members: int) -> None:
    truth = np.arange(12) % 3
    outputs = [answers(truth, 3, 1.0, seed + number) for number in range(members)]
    combined = combine(THREE, outputs, Combiner())["probability"]
    np.testing.assert_allclose(combined, sum(output["probability"] for output in outputs) / members)
    np.testing.assert_allclose(combined.sum(axis=1), 1)


@pytest.mark.parametrize("head", [TWO, THREE])
def test_stacking_weighs_the_better_member(head: Head) -> None:
    truth = np.random.default_rng(0).integers(0, head.size, 400)
    outputs = [answers(truth, head.size, 0.3, 1), answers(truth, head.size, 3.0, 2)]
    combiner = fit_combiner(
        "stacked", head, [{name: values[:200] for name, values in output.items()} for output in outputs], truth[:200]
    )
    combined = combine(head, outputs, combiner)["probability"]
    np.testing.assert_allclose(combined.sum(axis=1), 1)
    plain = combine(head, outputs, Combiner())["probability"]
    assert (combined.argmax(axis=1) == truth)[200:].mean() > (plain.argmax(axis=1) == truth)[200:].mean()
    if head.size == 2:
        better, worse = auroc(truth[200:], combined[200:, 1]), auroc(truth[200:], outputs[1]["probability"][200:, 1])
        assert better is not None
        assert worse is not None
        assert better > worse


def test_values_are_stacked_by_a_regression() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(50, 20, 300)
    outputs = [{"value": truth / 2 + rng.normal(0, 1, 300)}, {"value": rng.normal(0, 20, 300)}]
    found = combine(VALUE, outputs, fit_combiner("stacked", VALUE, outputs, truth))["value"]
    assert np.abs(found - truth).mean() < 3
    np.testing.assert_allclose(combine(VALUE, outputs, Combiner())["value"], (outputs[0]["value"] + outputs[1]["value"]) / 2)


@pytest.mark.parametrize("head", [TWO, THREE])
def test_a_weighted_mean_leans_to_the_better_member(head: Head) -> None:
    truth = np.random.default_rng(0).integers(0, head.size, 400)
    outputs = [answers(truth, head.size, 0.3, 1), answers(truth, head.size, 3.0, 2), answers(truth, head.size, 3.0, 3)]
    combiner = fit_combiner("weighted", head, outputs, truth)
    (shares,) = combiner.weights
    assert sum(shares) == pytest.approx(1)
    assert shares[0] > 0.5 > max(shares[1:])
    found = combine(head, outputs, combiner)["probability"]
    np.testing.assert_allclose(found.sum(axis=1), 1)
    expected = sum(share * output["probability"] for share, output in zip(shares, outputs, strict=True))
    np.testing.assert_allclose(found, expected)


def test_members_that_say_the_same_weigh_the_same() -> None:
    truth = np.arange(60) % 2
    one = answers(truth, 2, 1.0, 1)
    assert fit_combiner("weighted", TWO, [one, one], truth).weights[0] == pytest.approx((0.5, 0.5))


def test_labels_and_values_are_weighted_and_novelty_is_not() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(50, 20, 300)
    outputs = [{"value": truth + rng.normal(0, 5, 300)}, {"value": truth + rng.normal(0, 20, 300)}]
    assert fit_combiner("weighted", VALUE, outputs, truth).weights[0][0] > 0.8
    known = (rng.random((300, 2)) > 0.5).astype(np.float64)
    said = [{"probability": np.clip(known * 0.6 + 0.2 + rng.normal(0, noise, known.shape), 0.01, 0.99)} for noise in (0.05, 0.4)]
    known[::3, 0] = np.nan
    assert fit_combiner("weighted", Head("labels", 2), said, known).weights[0][0] > 0.8
    with pytest.raises(ConfigError, match="ENSEMBLE_HEAD"):
        check_combiner(Head("novelty"), "weighted")


def test_a_row_does_not_depend_on_the_others() -> None:
    truth = np.arange(40) % 2
    outputs = [answers(truth, 2, 0.5, 1), answers(truth, 2, 0.5, 2)]
    combiner = fit_combiner("stacked", TWO, outputs, truth)
    alone = combine(TWO, [{name: values[7:8] for name, values in output.items()} for output in outputs], combiner)
    np.testing.assert_array_equal(alone["probability"][0], combine(TWO, outputs, combiner)["probability"][7])


def test_what_cannot_be_combined_is_refused() -> None:
    check_combiner(Head("novelty"), "mean")
    for head, how in (
        (Head("map"), "mean"),
        (Head("map"), "stacked"),
        (Head("novelty"), "stacked"),
        (Head("labels", 3), "stacked"),
    ):
        with pytest.raises(ConfigError) as caught:
            check_combiner(head, how)
        assert caught.value.code == "ENSEMBLE_HEAD"


def test_stacking_needs_every_class() -> None:
    truth = np.arange(20) % 2
    with pytest.raises(ModelError) as caught:
        fit_combiner("stacked", THREE, [answers(truth, 3, 0.5, 1)], truth)
    assert caught.value.code == "ENSEMBLE_SINGLE_CLASS"
