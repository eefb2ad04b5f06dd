"""Every feature says what it is, and docs/features.md says the same.

``python tests/features/test_docs.py > docs/features.md`` writes the page anew.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medray.bundles.embedding import EmbeddingSpec, WeightsSpec
from medray.cli import run
from medray.features.describe import compact, describe_family, every_family
from medray.features.families import FAMILIES
from medray.features.family import Reason
from medray.spec import fields_of

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
HEAD = """# Features

A spec is a list of families with their parameters, in the order of the columns:

```yaml
features:
  families:
    - {family: haralick, levels: 32, distances: [1, 3]}
    - {family: lbp}
    - {family: symmetry, axis: best}
```

It stands under `inputs.NAME.features` in a training configuration and under `features` in one of `medray extract`, and travels in
the bundle. `medray features list` and `medray features describe NAME` say what stands here, and with `--spec FILE` the same for
your own families and parameters.

What holds for every family:

- Features are taken of the preprocessed image, of the pixels that are valid and inside the mask, where there is one. Bins and
  thresholds of intensity, haralick, edges, shape and fractal are of grey levels from 0 to 1: without a window, percentile or
  minmax before them a configuration is refused.
- A table always has all columns. What cannot be computed is NaN (null in the table of `medray extract`), never a guess, and the
  column `reasons` says why:

| reason | meaning |
|---|---|
"""
DEEP = """## Deep features

Penultimate-layer activations of a network: that of a bundle, behind the bundle's own preprocessing, or of one
of MONAI's networks with weights from a safetensors file. A bundle of several members gives those of each member, one after the
other. The columns are `embedding_NAME_K`, one for each activation. An image's row does not depend on the images beside it; CPU
and GPU round in different ways. An image is refused under a code of [codes.md](codes.md) where it is of a modality that the
network was not trained on, or where preprocessing does not make it fit.
"""
COLUMNS = """
Features that differ in a number alone stand in one line: the first and the last, how many they are with the default parameters,
and the definition of the first.
"""


def reasons() -> dict[str, str]:
    """Reason → the comment beside it."""
    return dict(re.findall(r'^    ([A-Z_]+) = "[A-Z_]+"  #: (.+)$', Path(inspect.getfile(Reason)).read_text(), re.MULTILINE))


def page() -> str:
    """docs/features.md."""
    families = [describe_family(params) for params in every_family().families]
    lines = [f"| `{name}` | {text} |" for name, text in reasons().items()]
    lines += [COLUMNS, "| family | images | features | what it measures |", "|---|---|---|---|"]
    for one in families:
        lines.append(f"| [{one['name']}](#{one['name']}) | {_kinds(one)} | {len(one['features'])} | {_cell(one['summary'])} |")
    lines += ["", *(line for one in families for line in _section(one))]
    lines += [DEEP, *_parameters(fields_of(EmbeddingSpec)), "Under `weights`:", "", *_parameters(fields_of(WeightsSpec))]
    return HEAD + "\n".join(lines)


def _section(family: dict[str, Any]) -> Iterator[str]:
    paragraphs = [part for paragraph in (family["summary"], *family["details"]) for part in (_cell(paragraph), "")]
    yield from (f"## {family['name']}", "", *paragraphs)
    yield from _parameters(family["parameters"])
    yield from ("| feature | definition | source | unit |", "|---|---|---|---|")
    for one in compact(family["features"]):
        yield f"| {one['name']} | {_cell(one['definition'])} | {_cell(one['source'])} | {one['unit']} |"
    yield ""


def _parameters(fields: list[dict[str, Any]]) -> Iterator[str]:
    if fields:
        yield from ("| parameter | type | range | default | |", "|---|---|---|---|---|")
        for one in fields:
            default = "must be given" if one["required"] else f"`{json.dumps(one['default'])}`"
            yield f"| `{one['name']}` | {_cell(one['type'])} | {_cell(one['range'])} | {default} | {_cell(one['description'])} |"
        yield ""


def _kinds(family: dict[str, Any]) -> str:
    return ", ".join(f"{one}-D" for one in family["dimensions"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")


def test_the_page_is_what_the_families_say() -> None:
    assert PAGE.read_text() == page()


def test_the_page_explains_every_reason() -> None:
    assert set(reasons()) == set(Reason)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_and_feature_is_described(name: str) -> None:
    (found,) = (describe_family(params) for params in every_family().families if params.family == name)
    assert len(found["summary"]) > 20
    for one in found["parameters"]:
        assert one["description"], one["name"]
    for one in found["features"]:
        assert len(one["definition"]) > 3, one
        assert len(one["source"]) > 3, one


def test_features_that_differ_in_numbers_are_one_line() -> None:
    (hog,) = (describe_family(params) for params in every_family().families if params.family == "hog")
    assert [one["name"] for one in compact(hog["features"])] == ["hog_0_0_0 … hog_3_3_7 (128)"]
    (symmetry,) = (describe_family(params) for params in every_family().families if params.family == "symmetry")
    assert compact(symmetry["features"]) == symmetry["features"]


def test_the_list_names_every_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["features", "list"]) == 0
    table = capsys.readouterr().out
    assert all(f" {name} " in table for name in FAMILIES)
    assert run(["features", "list", "--json"]) == 0
    assert {family["name"] for family in json.loads(capsys.readouterr().out)} == set(FAMILIES)


def test_a_family_and_a_column_are_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["features", "describe", "lbp"]) == 0
    text = capsys.readouterr().out
    assert "lbp_0_r1 … lbp_8_r3" in text
    assert "each ≥ 1, ≤ 8" in text
    assert run(["features", "describe", "lbp", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["features"]) == 30
    assert run(["features", "describe", "intensity_skewness", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["family"], found["unit"]) == ("intensity", "")
    assert "KE2A" in found["source"]


def test_a_spec_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spec.yaml").write_text("families:\n  - {family: haralick, distances: [9], features: [entropy]}\n")
    spec = ["--spec", str(tmp_path / "spec.yaml")]
    assert run(["features", "describe", "haralick", *spec]) == 0
    assert "haralick_entropy_d9" in capsys.readouterr().out
    assert run(["features", "describe", "haralick_entropy_d9", *spec]) == 0
    assert "TU9B" in capsys.readouterr().out
    assert run(["features", "list", "--json", *spec]) == 0
    (family,) = json.loads(capsys.readouterr().out)
    assert {one["name"]: one["value"] for one in family["parameters"]}["distances"] == [9]
    (tmp_path / "spec.yaml").write_text("families: [{family: lbp, radii: [0]}]\n")
    assert run(["features", "list", *spec]) == 1
    assert "CONFIG_INVALID" in capsys.readouterr().err


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["features", "describe", "harlick"]) == 1
    error = capsys.readouterr().err
    assert error == "medray: FEATURE_UNKNOWN: there is no feature or family 'harlick' in the spec (did you mean haralick?)\n"


if __name__ == "__main__":
    print(page(), end="")
