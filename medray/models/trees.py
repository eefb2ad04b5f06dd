"""The decision trees of scikit-learn, as they are read from a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medray.errors import BundleError

TREE = "sklearn.tree._tree.Tree"
"""The type of a tree: scikit-learn follows the numbers in it without a check."""


def require_sound(trees: Sequence[Any]) -> None:
    """Check that every tree can be walked: the branches of a node are later nodes, its feature is one that there is.

    Args:
        trees: fitted estimators of scikit-learn with one tree each.

    Raises:
        BundleError: BUNDLE_MODEL.
    """
    for one in trees:
        tree = one.tree_
        inner = np.flatnonzero(tree.children_left != -1)
        branches = np.stack([tree.children_left[inner], tree.children_right[inner]])
        sound = (branches > inner).all() and (branches < tree.node_count).all()
        features = tree.feature[inner]
        if not (sound and (features >= 0).all() and (features < tree.n_features).all()):
            raise BundleError("BUNDLE_MODEL", "a tree of the model refers to nodes or features that are not there")
