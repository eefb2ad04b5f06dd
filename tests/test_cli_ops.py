"""``medray ops``: the ops as a person and as a script see them."""

from __future__ import annotations

import json

import pytest

from medray.cli import run
from medray.imaging.table import OPS


def test_the_list_names_every_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ops", "list"]) == 0
    table = capsys.readouterr().out
    assert all(f" {name} " in table for name in OPS)
    assert run(["ops", "list", "--json"]) == 0
    assert {op["name"] for op in json.loads(capsys.readouterr().out)} == set(OPS)


def test_an_op_is_described_with_ranges_defaults_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ops", "describe", "percentile"]) == 0
    text = capsys.readouterr().out
    assert "≥ 0, ≤ 100" in text
    assert "99.5" in text
    assert run(["ops", "describe", "resize", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {one["name"]: one for one in found["parameters"]}["rows"]
    assert (rows["type"], rows["range"], rows["required"]) == ("integer", "≥ 1, ≤ 16384", True)
    assert "Knutsson" in found["source"]


def test_an_unknown_op_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ops", "describe", "resise"]) == 1
    assert capsys.readouterr().err == "medray: OP_UNKNOWN: there is no op 'resise' (did you mean resize?)\n"


def test_marks_of_code_are_those_of_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ops", "describe", "suv"]) == 0
    text = capsys.readouterr().out
    assert "`{SUVbw}g/ml`" in text
    assert "``" not in text
