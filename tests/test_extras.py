"""The installation: what is imported is declared, the base works without the extras, what is missing is said in one line."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import imagecodecs
import numpy as np
import pytest

from medray.errors import ConfigError
from medray.extras import EXTRAS, needed, require

ROOT = Path(__file__).parents[1]
PROJECT: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = {module for modules in EXTRAS.values() for module in modules}
Run = Callable[..., "CompletedProcess[str]"]

WITHOUT = f"""
import sys
from importlib.machinery import PathFinder

class Base(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {OPTIONAL!r} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Base
"""
"""A ``sitecustomize`` that hides the modules of the extras, as if only the base were installed."""

EXTRACT = """
features: {families: [{family: intensity}, {family: lbp}]}
preprocess: {steps: [{op: percentile}, {op: resize, rows: 32, columns: 32}]}
where: "uri LIKE '%SYN-00000%'"
"""


def normal(requirement: str) -> str:
    """The name of a distribution without its extras and versions, as PyPI compares names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


def declared(*extras: str) -> set[str]:
    """Distributions of the base, or of extras with the extras that those name."""
    optional = PROJECT["optional-dependencies"]
    found = [one for extra in extras for one in optional[extra]] if extras else PROJECT["dependencies"]
    inner = [name for one in found if one.startswith("medray[") for name in one[len("medray[") : -1].split(",")]
    return {normal(one) for one in found if normal(one) != "medray"} | (declared(*inner) if inner else set())


def third_party(path: Path) -> Iterator[str]:
    """Top-level names of the modules that a file imports, other than Python's and medray's."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"medray"}


def imported() -> set[str]:
    return {module for path in (ROOT / "medray").rglob("*.py") for module in third_party(path)}


@cache
def installed() -> Mapping[str, list[str]]:
    """Top-level module → the distributions that have it."""
    return packages_distributions()


def distributions(module: str) -> set[str]:
    return {normal(name) for name in installed().get(module, ())}


@pytest.fixture
def base(medray: Run, tmp_path: Path) -> Run:
    """Runs ``medray`` without the modules of the extras."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(WITHOUT)

    def command(*arguments: str) -> CompletedProcess[str]:
        return medray(*arguments, env={"PYTHONPATH": f"{tmp_path / 'without'}:{ROOT}"})

    return command


def test_every_imported_library_is_declared() -> None:
    undeclared = {module for module in imported() - OPTIONAL if not distributions(module) & declared()}
    assert not undeclared


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_modules_of_an_extra_are_declared_there_and_not_in_the_base(extra: str) -> None:
    for module in EXTRAS[extra]:
        assert distributions(module) & declared(extra), module
        assert not distributions(module) & declared(), module


def test_all_means_every_extra() -> None:
    assert declared("all") == declared(*EXTRAS)
    assert declared("all") <= declared("test") <= declared("dev")


def test_the_readme_names_every_extra() -> None:
    text = (ROOT / "README.md").read_text()
    assert all(f"medray[{extra}]" in text for extra in (*EXTRAS, "all"))


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for extra in EXTRAS:
        require(extra, "this test")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"^EXTRA_MISSING: a fit needs torch \(pip install 'medray\[models\]'\)$"):
        require("models", "a fit")
    with pytest.raises(ConfigError, match=r"^EXTRA_MISSING: a fit needs torch \(pip install 'medray\[models\]'\)$"):
        needed("torch", "models", "a fit")


def test_the_base_lists_ops_and_features(base: Run) -> None:
    for words in ("--help", "ops list", "features list", "catalog --help"):
        done = base(*words.split())
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_base_goes_from_pictures_to_a_table_of_features(base: Run, archive: Path, tmp_path: Path) -> None:
    """Import, ingest, catalog, preview and extract, with Ray's workers without the extras as well."""
    catalog, spec, config = (str(tmp_path / name) for name in ("catalog", "spec.yaml", "extract.yaml"))
    (tmp_path / "pictures").mkdir()
    picture = np.random.default_rng(1).integers(0, 255, (40, 30), dtype=np.uint8)
    (tmp_path / "pictures" / "one.png").write_bytes(imagecodecs.png_encode(picture))
    (tmp_path / "spec.yaml").write_text("steps: [{op: percentile}]")
    (tmp_path / "extract.yaml").write_text(f"{EXTRACT}\noutput: {tmp_path / 'out'}\ncatalog: {catalog}\n")
    images = str(archive / "images")
    commands = (
        ("import", str(tmp_path / "pictures"), "--out", str(tmp_path / "imported")),
        ("ingest", images, str(tmp_path / "imported" / "images"), "--catalog", catalog, "--labels", str(archive / "labels.csv")),
        ("catalog", "summary", catalog, "--plot", str(tmp_path / "catalog.png")),
        ("preview", images, "--spec", spec, "--out", str(tmp_path / "preview.png")),
        ("extract", "--config", config),
    )
    for words in commands:
        done = base(*words, "--json")
        assert done.returncode == 0, (words, done.stderr)
    assert json.loads(done.stdout)["scored"] == 10


def test_the_base_decodes_and_builds_volumes() -> None:
    code = "import pydicom.data, medray\n"
    code += "print(medray.decode(pydicom.data.get_testdata_file('CT_small.dcm')).pixels.shape)\n"
    code += "from medray.data import catalog, masks, volume\nmedray.build_volume, medray.open_catalog\nmedray.open_bundle\n"
    done = subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, timeout=120)
    assert "(128, 128)" in done.stdout
    assert "ConfigError: EXTRA_MISSING: a bundle needs torch" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ("train no.yaml", "models"),
        ("tune --config no.yaml", "models"),
        ("evaluate no --src no --labels no.csv", "models"),
        ("predict no no --out scores.csv", "models"),
        ("screen --config no.yaml", "models"),
        ("demo", "models"),
        ("serve no", "serve"),
    ],
)
def test_a_command_says_which_extra_it_needs(words: str, extra: str, base: Run) -> None:
    done = base(*words.split())
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"medray: EXTRA_MISSING: medray {words.split()[0]} needs torch, ")
    assert line.endswith(f"(pip install 'medray[{extra}]')")


def test_an_embedding_says_which_extra_it_needs(base: Run, tmp_path: Path) -> None:
    (tmp_path / "extract.yaml").write_text(f"{EXTRACT}\noutput: out\ncatalog: c\nembeddings: [{{bundle: b}}]")
    done = base("extract", "--config", str(tmp_path / "extract.yaml"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("medray: EXTRA_MISSING: an embedding needs torch, ")
