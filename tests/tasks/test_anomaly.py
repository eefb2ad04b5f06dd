"""The task ``anomaly``: who takes part, what is learnt from, what decides, with labels of both kinds, of one and of none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from medray.data.labels import join_labels
from medray.data.splits import SplitSpec, assign_splits
from medray.errors import LabelError
from medray.evaluation.thresholds import ThresholdPolicy
from medray.report.figures import draw
from medray.tasks.anomaly import Anomaly
from medray.tasks.decision import Judged
from medray.types import Image

JUDGED = Anomaly(target="finding", normal=("normal",), anomalous=("benign",))
BLIND = Anomaly()
YOUDEN = ThresholdPolicy()


def labels(*values: str) -> pa.Table:
    return pa.table({"sop_uid": [f"1.{number}" for number in range(len(values))], "finding": list(values)})


def instances(count: int) -> pa.Table:
    uids = [f"1.{number}" for number in range(count)]
    return pa.table({"uri": uids, "sop_uid": uids, "study_uid": uids, "patient_key": [f"p{number}" for number in range(count)]})


def scored(truth: list[int | None], seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    score = 0.5 + 0.1 * rng.random(len(truth)) + [0.05 * (value or 0) for value in truth]
    groups = [f"p{number}" for number in range(len(truth))]
    return pa.table({"target": pa.array(truth, pa.int64()), "score": score, "group": groups})


def test_images_without_a_label_take_part() -> None:
    joined = join_labels(instances(5), labels("normal", "benign", "", " Normal "), JUDGED)
    assert joined["target"].to_pylist() == [0, 1, None, 0, None]
    assert JUDGED.strata(joined["target"]).tolist() == [0, 1, -1, 0, -1]
    np.testing.assert_array_equal(JUDGED.truth(joined["target"]), [0, 1, np.nan, 0, np.nan])


def test_no_label_column_is_needed() -> None:
    empty = pa.table({"sop_uid": pa.array([], pa.string())})
    for table in (empty, labels("normal", "benign")):
        joined = join_labels(instances(4), table, BLIND)
        assert joined["target"].null_count == 4
        assert joined["target"].type == pa.int64()
    BLIND.require(joined["target"])
    rows = assign_splits(joined, SplitSpec(train=0.5, val=0.25), BLIND.strata(joined["target"]))
    assert sorted(rows["split"].to_pylist()) == ["test", "train", "train", "val"]
    with pytest.raises(LabelError, match="LABELS_NO_TARGET"):
        join_labels(instances(4), empty, JUDGED)


def test_labels_that_match_no_image_are_refused() -> None:
    with pytest.raises(LabelError, match="LABELS_NO_MATCH"):
        join_labels(instances(4), pa.table({"sop_uid": ["2.5"], "finding": ["normal"]}), JUDGED)


def test_splits_that_are_given_for_some_images_only_are_refused() -> None:
    given = labels("normal", "benign").append_column("split", [["train", "val"]])
    joined = join_labels(instances(3), given, JUDGED)
    with pytest.raises(LabelError, match=r"LABELS_SPLIT_PARTIAL: 1 of 3 .* a row for each image"):
        assign_splits(joined, SplitSpec(), JUDGED.strata(joined["target"]))


def test_it_learns_from_all_or_from_normal_images() -> None:
    targets = pa.chunked_array([pa.array([0, 1, None], pa.int64())])
    assert JUDGED.learnt_from(targets).tolist() == [True, True, True]
    one_class = JUDGED.model_copy(update={"train_on": "normal"})
    assert one_class.learnt_from(targets).tolist() == [True, False, False]
    one_class.require(targets, "train")
    one_class.require(targets.slice(1), "val")
    with pytest.raises(LabelError, match=r"LABELS_NO_NORMAL: no labelled image of the train split is normal"):
        one_class.require(targets.slice(1), "train")
    with pytest.raises(ValidationError, match="train_on: normal needs a target"):
        Anomaly(train_on="normal")


def test_labels_none_of_which_is_normal_are_refused() -> None:
    found = pa.chunked_array([pa.array([1, 1, None], pa.int64())])
    with pytest.raises(LabelError, match=r"no labelled image is normal \(finding is benign; normal is 'normal'\)"):
        JUDGED.require(found, found="benign")
    with pytest.raises(LabelError, match="LABELS_TOO_FEW: the val split holds no image"):
        JUDGED.require(found.slice(3), "val")


def test_values_of_normal_images_may_be_numbers() -> None:
    task = Anomaly.model_validate({"target": "malignant", "normal": [0, 2]})
    assert task.targets({"malignant": pa.chunked_array([["0", "1", "2", ""]])}).to_pylist() == [0, 1, 0, None]


def test_the_policy_decides_where_labels_are_of_both_kinds() -> None:
    rows = scored([0] * 50 + [1] * 20 + [None] * 10)
    threshold = JUDGED.decision(rows, YOUDEN).thresholds["anomalous"]
    assert "Youden" in threshold.reason
    assert "70 validation images" in threshold.reason


@pytest.mark.parametrize("truth", [[None] * 101, [0] * 101])
def test_the_contamination_decides_elsewhere(truth: list[int | None]) -> None:
    rows = scored(truth)
    decision = JUDGED.decision(rows, YOUDEN)
    assert "flags 4.95 % of 101 validation images" in decision.thresholds["anomalous"].reason
    assert sum(JUDGED.decided(rows, decision)["anomalous"].to_pylist()) == 5
    assert JUDGED.answer_columns == ("score", "anomalous")


def test_a_fixed_threshold_needs_no_labels() -> None:
    decision = BLIND.decision(scored([None] * 9), ThresholdPolicy(kind="fixed", value=0.6))
    assert decision.threshold("anomalous") == 0.6


def test_scores_of_a_fit_are_of_labelled_images() -> None:
    rows = scored([0] * 30 + [1] * 30 + [None] * 40)
    truth, score = JUDGED.truth(rows["target"]), rows["score"].to_numpy()
    assert JUDGED.scores(truth, {"score": score})["auroc"] == pytest.approx(roc_auc_score(truth[:60], score[:60]))
    assert np.isnan(JUDGED.scores(truth[:30], {"score": score[:30]})["auroc"])
    assert np.isnan(JUDGED.scores(truth[:0], {"score": score[:0]})["auroc"])
    assert JUDGED.comparable(rows["target"])
    assert not JUDGED.comparable(rows["target"].slice(60))
    assert not JUDGED.comparable(rows["target"].slice(0, 30))


def test_figures_are_of_labelled_images_and_scores_of_all() -> None:
    rows = scored([0] * 30 + [1] * 30 + [None] * 40)
    decision = JUDGED.decision(rows, YOUDEN)
    figures = JUDGED.evaluate(rows, decision)
    assert (figures.n, figures.n_unlabelled, figures.positives) == (60, 40, 30)
    assert figures.monitor.value == figures.auroc.value > 0.6
    assert {"brier", "ece"}.isdisjoint(figures.model_dump())
    assert figures.flagged == pytest.approx(np.mean(rows["score"].to_numpy() >= figures.threshold))
    page = JUDGED.page([Judged("forest", rows, figures, decision)], "forest", "test")
    assert "60 labelled test images" in page.summary
    assert [plot.title for plot in page.plots] == ["Receiver operating characteristic", "Scores of forest"]
    assert all("<svg" in draw(plot) for plot in page.plots)


@pytest.mark.parametrize("truth", [[None] * 20, [0] * 20])
def test_without_labels_of_both_kinds_there_is_the_distribution_of_scores(truth: list[int | None]) -> None:
    rows = scored(truth)
    decision = BLIND.decision(rows, YOUDEN)
    figures = BLIND.evaluate(rows, decision)
    assert figures.monitor.value is figures.sensitivity is None
    assert figures.scores.low < figures.scores.median < figures.scores.high
    assert figures.flagged == 0.05
    assert len(BLIND.cells(figures)) == 6
    page = BLIND.page([Judged("forest", rows, figures, decision)], "forest", "test")
    assert "20 test images, with " + ("no labels" if truth[0] is None else "labels of one kind") in page.summary
    assert [plot.title for plot in page.plots] == ["Scores of forest"]


def test_answer_and_caption() -> None:
    image = Image(np.zeros((4, 4), np.float32))
    assert JUDGED.answer({"score": np.float64(0.625)}, image, image) == {"score": 0.625}
    assert JUDGED.caption({"score": 0.625, "target": 1}) == ("0.62", "anomalous")
    assert JUDGED.caption({"score": 0.5, "target": None}) == ("0.50", "")
    assert JUDGED.urgent({"anomalous": True})


def test_equal_scores_are_not_all_anomalies() -> None:
    rows = scored([None] * 20)
    rows = rows.set_column(rows.column_names.index("score"), "score", pa.array([0.5] * 20))
    decision = JUDGED.decision(rows, YOUDEN)
    assert not any(JUDGED.decided(rows, decision)["anomalous"].to_pylist())
    assert "flags 0 % of 20" in decision.thresholds["anomalous"].reason
