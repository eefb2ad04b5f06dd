"""The decision trees of scikit-learn, as they are read from a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medray.errors import BundleError

TREE = "sklearn.tree._tree.Tree"
"""The type of a tree: scikit-learn follows the numbers in it without a check."""


def require_sound(trees: Sequence[Any], features: Sequence[int]) -> None:
    """Check that every tree can be walked: the branches of a node are later nodes, its feature is one that there is.

    Args:
        trees: fitted estimators of scikit-learn with one tree each.
        features: how many each of them is given.

    Raises:
        BundleError: BUNDLE_MODEL; what is raised where parts of a tree are not there.
    """
    for one, given in zip(trees, features, strict=True):
        tree = one.tree_
        if tree.node_count != tree.capacity or not _walkable(tree, given):
            raise BundleError("BUNDLE_MODEL", "a tree of the model refers to nodes or features that are not there")


def _walkable(tree: Any, features: int) -> bool:
    inner = np.flatnonzero(tree.children_left != -1)
    branches = np.stack([tree.children_left[inner], tree.children_right[inner]])
    split_by = tree.feature[inner]
    nodes = (branches > inner).all() and (branches < tree.node_count).all()
    return bool(tree.node_count and nodes and (split_by >= 0).all() and (split_by < features).all())
