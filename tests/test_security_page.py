"""docs/security.md promises nothing without a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_each_promise_has_a_test() -> None:
    tables = re.findall(r"\| promise \| test \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE)
    promises = [row for table in tables for row in table.splitlines()]
    assert len(promises) > 20
    assert not [row for row in promises if "::test_" not in row]


def test_each_test_that_it_names_is_there() -> None:
    found = {
        file: {node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)}
        for file in {file for file, _ in NAMED}
    }
    assert not [f"{file}::{name}" for file, name in NAMED if name not in found[file]]
