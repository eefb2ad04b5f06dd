"""The architecture, read from the source: who may import whom, where Ray and the store's clients live, what is never used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "medray").rglob("*.py"))
RANK = {
    "remedies": -2,
    "types": -2,
    "compiled": -2,
    "progress": -2,
    "lifeline": -2,
    "redaction": -2,
    "json_file": -2,
    "source": -2,
    "errors": -1,
    "spec": -1,
    "extras": 0,
    "exhaustion": 0,
    "explain": 1,
    "data": 1,
    "configuration": 2,
    "imaging": 2,
    "features": 3,
    "evaluation": 3,
    "tasks": 4,
    "models": 5,
    "bundles": 6,
    "report": 7,
    "work": 8,
    "distributed": 9,
    "cataloguing": 10,
    "runs": 11,
    "cli": 12,
    "__main__": 13,
}
"""Layer of each part of medray: a module imports only from its own part and from lower layers."""

EVALUATION_MAY_IMPORT = {"evaluation", "errors", "spec", "types"}
STORE_CLIENTS = {"fsspec", "s3fs", "obstore", "botocore", "boto3", "aiobotocore", "requests", "adlfs", "gcsfs"}
STORE_MODULES = {
    "medray/data/store.py",
    "medray/data/backends/s3.py",
    "medray/data/backends/troubles.py",
    "medray/data/backends/dicomweb.py",
}
IMAGE_PACKAGES = ("cv2", "pydicom", "imagecodecs", "PIL", "skimage", "scipy", "sklearn", "monai", "xgboost")
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything that a module imports, also inside functions; relative imports do not occur."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(path: Path) -> str:
    """The package (or module) right under medray that a file belongs to."""
    return path.relative_to(ROOT / "medray").parts[0].removesuffix(".py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [path for path in SOURCES if part(path) != "__init__"], ids=name)
def test_a_module_imports_only_from_layers_below_or_its_own(path: Path) -> None:
    own = part(path)
    for found in imports(tree(path)):
        names = found.split(".")
        if names[0] != "medray":
            continue
        other = names[1]
        assert other in RANK, f"{found} belongs to no layer"
        assert other == own or RANK[other] < RANK[own], f"{name(path)} imports {found}"
        if own == "evaluation":
            assert other in EVALUATION_MAY_IMPORT, f"{name(path)} imports {found}"


def test_dicom_knows_no_store_and_backends_know_no_dicom() -> None:
    for path in SOURCES:
        folder = path.parent.relative_to(ROOT / "medray").as_posix()
        found = {found for found in imports(tree(path)) if found.startswith("medray.data.")}
        if folder == "data/dicom":
            allowed = ("medray.data.dicom", "medray.data.pseudonym", "medray.data.ultrasound")
            assert all(one.startswith(allowed) for one in found), f"{name(path)} imports {found}"
        if folder == "data/backends":
            assert all(one.startswith("medray.data.backends") for one in found), f"{name(path)} imports {found}"


def test_every_module_has_a_layer() -> None:
    assert len(SOURCES) > 50
    assert {part(path) for path in SOURCES} - {"__init__"} == set(RANK)


def users(packages: set[str]) -> set[str]:
    return {name(path) for path in SOURCES if packages & {found.split(".")[0] for found in imports(tree(path))}}


def test_only_the_distributed_layer_imports_ray() -> None:
    using = users({"ray"})
    assert using
    assert all(path.startswith("medray/distributed/") for path in using), using


def test_no_pixel_in_the_distributed_layer() -> None:
    """It moves rows and calls ``work``; decoding and computing are done there."""
    images = ("medray.imaging", "medray.features", "medray.data.dicom", "medray.data.foreign", "medray.report", *IMAGE_PACKAGES)
    for path in SOURCES:
        if part(path) == "distributed":
            found = [one for one in imports(tree(path)) if one.startswith(images)]
            assert not found, f"{name(path)} imports {found}"


def test_only_the_store_knows_the_clients_of_object_stores() -> None:
    assert users(STORE_CLIENTS) == STORE_MODULES


def test_only_the_tables_know_delta_lake() -> None:
    assert users({"deltalake"}) <= {"medray/data/tables.py", "medray/data/backends/troubles.py"}


def test_nothing_is_pickled() -> None:
    """Weights that a fit begins with may be a state dict of PyTorch, whose reader for tensors alone runs no code."""
    assert not users(PICKLES)
    loads = []
    for path in SOURCES:
        calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        loads += [(name(path), ast.unparse(call)) for call in calls if ast.unparse(call.func) == "torch.load"]
        called = {ast.unparse(call.func) for call in calls}
        assert not called & {"torch.save", "eval", "exec", "np.load", "numpy.load"}, name(path)
        assert "yaml.load" not in called, name(path)
    assert loads == [("medray/models/cnn/start.py", "torch.load(io.BytesIO(data), 'cpu', weights_only=True)")]


def test_only_the_decoder_the_command_line_and_the_start_of_ray_catch_everything() -> None:
    """Ray raises plain exceptions where it does not start."""
    broad = [
        name(path)
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert broad == ["medray/cli/command.py", "medray/data/dicom/decoding.py", "medray/distributed/session.py"]


def test_modules_do_no_work_at_import() -> None:
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.If)
    for path in SOURCES:
        for node in tree(path).body:
            if isinstance(node, ast.Expr):  # a docstring, or one that describes a constant
                assert isinstance(node.value, ast.Constant), f"{name(path)}:{node.lineno}"
            else:
                assert isinstance(node, allowed), f"{name(path)}:{node.lineno}"
                if isinstance(node, ast.If):
                    assert ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"), f"{name(path)}:{node.lineno}"


def test_modules_stay_small() -> None:
    long = {name(path): lines for path in SOURCES if (lines := len(path.read_text().splitlines())) > 300}
    assert not long


@pytest.mark.parametrize("path", sorted((ROOT / "workflows").glob("*.py")), ids=name)
def test_a_workflow_is_a_thin_entry_point(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60
    assert {found.split(".")[1] for found in imports(tree(path)) if found.startswith("medray")} <= {"cli", "runs"}
