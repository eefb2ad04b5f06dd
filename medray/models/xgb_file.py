"""The file of an XGBoost model: whether it is whole, and of the kind that we write.

XGBoost follows the numbers in it without a check. Where one leads to a node, feature or class that is not there, it reads what
lies elsewhere in memory, never ends, or ends the process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from medray.models.ubj import ubj_object

PROBABILITY, PROBABILITIES, VALUE = "binary:logistic", "multi:softprob", "reg:squarederror"
"""The objectives that we fit by."""

_NO_PARENT = 2**31 - 1


def require_sound(data: bytes) -> None:
    """Check a model before XGBoost reads it.

    Raises:
        ValueError, LookupError, TypeError, AttributeError
    """
    learner = ubj_object(data)["learner"]
    sizes, booster, objective = learner["learner_model_param"], learner["gradient_booster"], learner["objective"]
    classes, targets, features = (int(sizes[name]) for name in ("num_class", "num_target", "num_feature"))
    of_softmax = int(objective.get("softmax_multiclass_param", {}).get("num_class", 0))
    known = objective["name"] in (PROBABILITY, PROBABILITIES, VALUE) and booster["name"] == "gbtree"
    _require(known and of_softmax == classes, "another kind of model")
    _require(features > 0 and (targets == 1 or classes == 0), "sizes that do not belong together")
    _require_rounds(booster["model"], max(classes, targets))
    _require(len(json.loads(sizes["base_score"])) == max(classes, targets), "a start for other outputs")
    for tree in booster["model"]["trees"]:
        _require_tree(tree, features)


def _require_rounds(model: Mapping[str, Any], outputs: int) -> None:
    """Each round has a tree for each output, in their order."""
    count, parameters = len(model["trees"]), model["gbtree_model_param"]
    rounds = np.arange(0, count + 1, outputs)
    sound = (int(parameters["num_trees"]), int(parameters["num_parallel_tree"])) == (count, 1)
    sound = sound and [tree["id"] for tree in model["trees"]] == list(range(count))
    sound = sound and np.array_equal(model["tree_info"], np.arange(count) % outputs)
    _require(sound and np.array_equal(model["iteration_indptr"], rounds) and rounds[-1] == count, "rounds of other trees")
    _require(not any(map(len, model.get("cats", {}).values())), "categories")


def _require_tree(tree: Mapping[str, Any], features: int) -> None:
    """Every node but the first is the branch of one other; splits are by features that there are, and by numbers."""
    nodes, parameters = len(tree["left_children"]), tree["tree_param"]
    expected = {"num_nodes": nodes, "num_deleted": 0, "num_feature": features, "size_leaf_vector": 1}
    _require(nodes > 0 and {name: int(parameters[name]) for name in expected} == expected, "a tree of other sizes")
    left, right, parents, split_by = (
        _integers(tree[name], nodes) for name in ("left_children", "right_children", "parents", "split_indices")
    )
    inner = np.flatnonzero(left != -1)
    branches = np.concatenate([left[inner], right[inner]])
    _require(np.array_equal(inner, np.flatnonzero(right != -1)), "a node with one branch")
    _require(np.array_equal(np.sort(branches), np.arange(1, nodes)), "nodes that are not there, or are in two places")
    _require(parents[0] == _NO_PARENT and np.array_equal(parents[branches], np.tile(inner, 2)), "parents that are none")
    _require(((split_by[inner] >= 0) & (split_by[inner] < features)).all(), "features that are not there")
    _require(not np.any(tree["split_type"]) and not len(tree["categories"]), "categories")


def _integers(values: Any, count: int) -> Any:
    found = np.asarray(values)
    _require(found.shape == (count,) and found.dtype.kind in "iu", "lists of other lengths or kinds")
    return found.astype(np.int64)


def _require(sound: Any, what: str) -> None:
    if not sound:
        raise ValueError(f"the model has {what}")
