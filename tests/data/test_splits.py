"""Drawn splits: what they depend on, what shares they have, and what moves when an archive grows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medray.data.balance import divided
from medray.data.splits import SPLITS, SplitSpec, assign_splits, is_drawn
from medray.types import Int64


def archive(images: list[int], classes: int = 2, seed: int = 0, key: str = "") -> tuple[pa.Table, Int64]:
    """Rows of patients with so many images each, and the strata; ``key`` stands in for that of the pseudonyms."""
    random = np.random.default_rng(seed)
    patients = np.repeat(np.arange(len(images)), images)
    strata = np.where(random.random(len(patients)) < 0.6, patients % classes, 0).astype(np.int64)
    uids = [f"1.2.{number}" for number in random.permutation(10**6)[: len(patients)]]
    groups = [f"{hash_of(key, patient)}" for patient in patients]
    return pa.table({"uri": uids, "sop_uid": uids, "group": groups, "split": [""] * len(uids)}), strata


def hash_of(key: str, patient: int) -> str:
    return f"{(patient * 7919 + len(key) * 104729 + sum(key.encode())) % 1_000_003:07d}"


def sides(rows: pa.Table, strata: Int64, spec: SplitSpec) -> dict[str, str]:
    found = assign_splits(rows, spec, strata)
    return dict(zip(found["sop_uid"].to_pylist(), found["split"].to_pylist(), strict=True))


def skewed(patients: int, shape: float, seed: int) -> list[int]:
    """Images of so many patients, 1 to 40, from nearly equal (shape 0) to a few with most of them."""
    drawn = np.exp(shape * np.random.default_rng(seed).standard_normal(patients)) * 4
    found: list[int] = np.clip(drawn, 1, 40).astype(int).tolist()
    return found


SKEWED = st.builds(skewed, st.integers(60, 160), st.floats(0, 2), st.integers(0, 1000))
ANY = st.lists(st.one_of(st.integers(1, 40), st.just(1), st.just(40)), min_size=20, max_size=80)


@settings(max_examples=40, deadline=None)
@given(SKEWED, st.integers(1, 4), st.integers(0, 1000), st.sampled_from([(0.7, 0.15), (0.5, 0.2), (0.8, 0.2)]))
@example(skewed(65, 2.0, 1), 3, 0, (0.7, 0.15))  # no swap within one class after the other mends it
def test_patients_and_images_have_the_shares_whatever_the_skew(
    images: list[int], classes: int, seed: int, asked: tuple[float, float]
) -> None:
    rows, strata = archive(images, classes, seed)
    spec = SplitSpec(train=asked[0], val=asked[1], seed=seed)
    found = assign_splits(rows, spec, strata)
    groups, splits = np.array(found["group"]), np.array(found["split"])
    assert len({*zip(groups.tolist(), splits.tolist(), strict=True)}) == len(images)  # none is on two sides
    for name, share in zip(SPLITS, spec.shares, strict=True):
        assert abs(len(set(groups[splits == name])) / len(images) - share) <= 0.02
        assert abs(np.mean(splits == name) - share) <= 0.02


@settings(max_examples=20, deadline=None)
@given(ANY, st.integers(0, 1000))
def test_pseudonyms_and_the_order_of_rows_decide_nothing(images: list[int], seed: int) -> None:
    spec = SplitSpec(seed=seed)
    (rows, strata), *others = (archive(images, 3, seed, key) for key in ("", "one", "another"))
    expected = sides(rows, strata, spec)
    for other, _ in others:
        assert set(other["group"].to_pylist()) != set(rows["group"].to_pylist())
        assert sides(other, strata, spec) == expected
        order = np.random.default_rng(seed).permutation(len(rows))
        assert sides(other.take(pa.array(order)), strata[order], spec) == expected


def test_another_seed_is_another_draw() -> None:
    rows, strata = archive([3] * 100)
    assert sides(rows, strata, SplitSpec(seed=1)) != sides(rows, strata, SplitSpec(seed=2))


def test_images_of_each_class_have_the_shares_too() -> None:
    images = np.random.default_rng(1).integers(1, 40, 300).tolist()
    rows, strata = archive(images, 3)
    splits = np.array(assign_splits(rows, SplitSpec(), strata)["split"])
    for stratum in range(3):
        assert np.mean(splits[strata == stratum] == "train") == pytest.approx(0.7, abs=0.03)


def test_a_later_image_moves_few_patients() -> None:
    images = np.random.default_rng(2).integers(1, 40, 400).tolist()
    rows, strata = archive(images)
    more = pa.table({"uri": ["1.2.9999999"], "sop_uid": ["1.2.9999999"], "group": ["new"], "split": [""]})
    before = sides(rows, strata, SplitSpec())
    after = sides(pa.concat_tables([rows, more]), np.append(strata, 1), SplitSpec())
    group = dict(zip(rows["sop_uid"].to_pylist(), rows["group"].to_pylist(), strict=True))
    moved = {group[uid] for uid, side in before.items() if after[uid] != side}
    assert len(moved) <= 0.05 * len(images)


def test_images_without_a_uid_and_two_patients_with_one_uid() -> None:
    uris = [f"s3://b/{number}.dcm" for number in range(40)]
    uids = [None if number % 2 else "1.2.3" for number in range(40)]
    rows = pa.table({"uri": uris, "sop_uid": uids, "group": [f"p{n}" for n in range(40)], "split": [""] * 40})
    renamed = rows.set_column(2, "group", pa.array([f"q{99 - n}" for n in range(40)]))
    strata = np.zeros(40, np.int64)
    found = assign_splits(rows, SplitSpec(), strata)["split"].to_pylist()
    assert found == assign_splits(renamed, SplitSpec(), strata)["split"].to_pylist()
    assert [found.count(name) for name in SPLITS] == [28, 6, 6]


def test_given_splits_are_kept_and_not_called_drawn() -> None:
    rows, strata = archive([2] * 30)
    drawn = assign_splits(rows, SplitSpec(), strata)
    assert is_drawn(drawn)
    assert is_drawn(drawn.sort_by("uri").filter(pa.array([True] * len(drawn))))
    given_again = assign_splits(drawn.cast(rows.schema), SplitSpec(seed=9), strata)
    assert given_again["split"].equals(drawn["split"])
    assert not is_drawn(given_again)


@pytest.mark.parametrize(
    ("sizes", "rare"), [((4, 200), [2, 1, 1]), ((3, 200), [2, 1, 0]), ((2, 200), [1, 1, 0]), ((1, 200), [1, 0, 0])]
)
def test_a_rare_class_is_in_as_many_splits_as_it_can_be(sizes: tuple[int, int], rare: list[int]) -> None:
    strata = np.repeat([1, 0], sizes)
    found = divided(strata, np.eye(2, dtype=np.int64)[strata], (0.7, 0.15, 0.15))
    assert np.bincount(found[strata == 1], minlength=3).tolist() == rare
    assert np.bincount(found, minlength=3) / sum(sizes) == pytest.approx([0.7, 0.15, 0.15], abs=0.01)


def test_a_patient_with_most_of_the_images_is_no_reason_to_stop() -> None:
    found = divided(np.zeros(20, np.int64), np.array([[1000], *[[1]] * 19]), (0.7, 0.15, 0.15))
    assert np.bincount(found, minlength=3).tolist() == [14, 3, 3]
    assert found[0] == 0
