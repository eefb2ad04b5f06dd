"""The task of several labels: label columns, answers, thresholds, figures, page."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from sklearn.metrics import log_loss, roc_auc_score

from medray.errors import LabelError
from medray.evaluation.thresholds import ThresholdPolicy
from medray.tasks.decision import Judged
from medray.tasks.multilabel import Multilabel
from medray.tasks.page import Curves
from medray.types import Header, Image

TASK = Multilabel(labels=("mass", "pleural effusion", "nodule"))
COLUMNS = ["probability_mass", "probability_pleural_effusion", "probability_nodule"]
YOUDEN = ThresholdPolicy()


def labels(*rows: tuple[str, str, str]) -> dict[str, pa.ChunkedArray]:
    return {
        name: pa.chunked_array([list(column)], pa.string())
        for name, column in zip(TASK.labels, zip(*rows, strict=True), strict=True)
    }


def cases(n: int = 90, seed: int = 0, strength: float = 1.5) -> pa.Table:
    """Truth of three labels, one in ten unknown, and probabilities that tell them apart somewhat."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 3)) < (0.5, 0.3, 0.2)).astype(float)
    p = 1 / (1 + np.exp(-rng.normal(size=(n, 3)) - strength * truth + 0.5))
    listed = [[None if rng.random() < 0.1 else value for value in row] for row in truth]
    known = {"target": pa.array(listed, pa.list_(pa.float64())), "group": [f"P{number // 2}" for number in range(n)]}
    return pa.table({**known, **dict(zip(COLUMNS, p.T, strict=True))})


def test_targets_tell_what_holds_what_not_and_what_is_not_known() -> None:
    given = labels(("1", "0", ""), ("0", " 1 ", "0"), ("", "", ""))
    found = TASK.targets(given)
    assert found.to_pylist() == [[1, 0, None], [0, 1, 0], None]
    truth = TASK.truth(pa.chunked_array([found.slice(0, 2)]))
    np.testing.assert_array_equal(truth, [[1, 0, np.nan], [0, 1, 0]])
    assert TASK.label_columns == TASK.labels


@pytest.mark.parametrize("names", [(), ("a", "a"), ("a-b", "a b"), ("?",)])
def test_labels_that_cannot_be_told_apart_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        Multilabel(labels=names)


def test_the_stratum_is_the_rarest_label_that_holds() -> None:
    targets = pa.chunked_array([[[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, None, 0.0]]])
    assert TASK.strata(targets).tolist() == [1, 2, 3, 0]


def test_every_label_needs_images_of_both_kinds() -> None:
    both = pa.chunked_array([[[1.0, 0.0, 0.0], [0.0, 1.0, None], [None, None, 1.0]]])
    TASK.require(both)
    lacking = both.slice(0, 2)
    with pytest.raises(LabelError, match=r"LABELS_SINGLE_CLASS.*nodule"):
        TASK.require(lacking)
    with pytest.raises(LabelError, match=r"LABELS_TOO_FEW.*val split.*nodule"):
        TASK.require(lacking, "val")


def test_each_label_has_a_threshold_of_its_own() -> None:
    table = cases()
    decision = TASK.decision(table, ThresholdPolicy(kind="sensitivity_at_least", value=0.9))
    assert list(decision.thresholds) == list(TASK.labels)
    found = TASK.evaluate(table, decision)
    assert all(one.sensitivity >= 0.9 for one in found.labels)
    assert len({one.threshold for one in found.labels}) == 3
    without = table.filter(pa.array([row[2] != 1 for row in table["target"].to_pylist()]))
    with pytest.raises(LabelError, match=r"LABELS_TOO_FEW.*validation split.*nodule"):
        TASK.decision(without, YOUDEN)


def test_answers_name_every_label_and_are_decided_by_its_threshold() -> None:
    image = Image(np.zeros((2, 2), np.float32), header=Header())
    decision = TASK.decision(cases(), ThresholdPolicy(kind="fixed", value=0.5))
    answer = TASK.answer({"probability": np.array([0.1, 0.9, 0.5])}, image, image)
    table = TASK.decided(TASK.table([answer, None]), decision)
    decided = ["positive_mass", "positive_pleural_effusion", "positive_nodule"]
    assert table.column_names == [*COLUMNS, *decided] == list(TASK.answer_columns)
    first, none = table.to_pylist()
    assert [first[name] for name in decided] == [False, True, True]
    assert [none[name] for name in decided] == [None, None, None]
    np.testing.assert_array_equal(TASK.urgency(table), [0.9, np.nan])
    assert TASK.urgent(first)
    caption = TASK.caption({**first, "target": [1, None, 0]})
    assert caption == ("pleural effusion 0.90, nodule 0.50, mass 0.10", "mass")
    assert TASK.caption({**first, "target": [0, 0, 0]})[1] == "none"


def test_scores_take_the_known_labels_alone() -> None:
    table = cases()
    truth, p = TASK.truth(table["target"]), np.stack([table[name].to_numpy() for name in COLUMNS], axis=1)
    known = ~np.isnan(truth)
    found = TASK.scores(truth, {"probability": p})
    areas = [roc_auc_score(truth[use, one], p[use, one]) for one, use in enumerate(known.T)]
    assert found["macro_auroc"] == pytest.approx(np.mean(areas))
    assert found["logloss"] == pytest.approx(log_loss(truth[known], p[known]))
    nothing = TASK.scores(truth[:0], {"probability": p[:0]})
    assert nothing.keys() == found.keys()
    assert np.isnan(list(nothing.values())).all()


def test_figures_and_page_name_every_label() -> None:
    table = cases()
    decision = TASK.decision(table, YOUDEN)
    found = TASK.evaluate(table, decision)
    assert found.monitor.low < found.monitor.value < found.monitor.high
    assert [one.n for one in found.labels] == [
        len(table) - column.count(None) for column in zip(*table["target"].to_pylist(), strict=True)
    ]
    assert type(found).model_validate_json(found.model_dump_json()) == found
    page = TASK.page([Judged("cnn", table, found, decision)], "cnn", "test")
    assert list(page.tables[0].rows) == list(TASK.labels)
    assert isinstance(page.plots[0], Curves)
    assert len(page.plots[0].lines) == 3
    assert TASK.cells(found)[0].heading == "Macro AUROC [95 %]"
