"""Every code that the source raises has a remedy, every remedy and flag is used, and docs/codes.md lists them.

``python tests/test_remedies.py > docs/codes.md`` writes the page anew.
"""

from __future__ import annotations

import ast
from pathlib import Path

from medray.remedies import FLAGS, REMEDIES, WARNINGS

ROOT = Path(__file__).parents[1]
SOURCES = [path for path in sorted((ROOT / "medray").rglob("*.py")) if path.name != "remedies.py"]
HEAD = """# Codes and flags

`medray quarantine list` and `show` print the same text. Codes and flags are stable: scripts may match on them.

## Why an object is not used, or could not be read

| code | what to do |
|---|---|
"""
WARNINGS_HEAD = """
## What makes figures less than they seem

Training, `medray split` and `medray evaluate` print these warnings, and they stand under `warnings` in JSON and in the report.

| warning | what to do |
|---|---|
"""
FLAGS_HEAD = """
## What is unusual about an image that is used

| flag | meaning |
|---|---|
"""


def page() -> str:
    """docs/codes.md."""
    rows = (f"| `{code}` | {remedy} |\n" for code, remedy in sorted(REMEDIES.items()))
    warnings = (f"| `{code}` | {meaning} |\n" for code, meaning in sorted(WARNINGS.items()))
    flags = (f"| `{flag}` | {meaning} |\n" for flag, meaning in sorted(FLAGS.items()))
    return HEAD + "".join(rows) + WARNINGS_HEAD + "".join(warnings) + FLAGS_HEAD + "".join(flags)


def raised() -> set[str]:
    """Codes given to Quarantined(…) and Excluded(…) as they stand."""
    calls = (node for path in SOURCES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    named = (call for call in calls if ast.unparse(call.func) in ("Quarantined", "Excluded") and call.args)
    return {str(call.args[0].value) for call in named if isinstance(call.args[0], ast.Constant)}


def test_every_code_has_a_remedy() -> None:
    assert len(raised()) > 40
    assert raised() <= set(REMEDIES)


def test_every_remedy_and_flag_is_used() -> None:
    text = "".join(path.read_text() for path in SOURCES)
    assert [name for name in (*REMEDIES, *WARNINGS, *FLAGS) if f'"{name}"' not in text] == []


def test_the_page_lists_them() -> None:
    assert (ROOT / "docs" / "codes.md").read_text() == page()


if __name__ == "__main__":
    print(page(), end="")
