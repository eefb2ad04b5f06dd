"""A fingerprint of the code that makes data, for the keys of caches.

What is kept under such a key is made again when the code that decides its values changes, and only then: comments, docstrings,
layout, and modules that have no part in it do not count.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Collection, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

APART = (
    "medray.extras",
    "medray.remedies",
    "medray.source",
    "medray.imaging.table",
    "medray.features.families",
    "medray.models.family",
    "medray.models.table",
    "medray.bundles.bundle",
    "medray.bundles.embedding",
    "medray.data.archive",
    "medray.data.catalog",
    "medray.data.store",
    "medray.data.tables",
    "medray.data.temporary",
)
"""Modules and packages that are not followed where others import them: texts, lists from which a spec chooses (the caller names
the chosen), storage, and models, which have a fingerprint of their own."""

_LIBRARIES = {
    "PIL": "pillow",
    "SimpleITK": "SimpleITK",
    "cv2": "opencv-python-headless",
    "imagecodecs": "imagecodecs",
    "monai": "monai",
    "numba": "numba",
    "numpy": "numpy",
    "pydicom": "pydicom",
    "pywt": "PyWavelets",
    "scipy": "scipy",
    "torch": "torch",
}
"""Packages that compute pixels and numbers → their distributions."""


class _Module(NamedTuple):
    """What counts of one module.

    Attributes:
        digest: sha256 of its syntax tree, without docstrings.
        imports: dotted names of what it imports, also inside functions; not what only type checkers see.
    """

    digest: str
    imports: frozenset[str]


@cache
def source_fingerprint(*modules: str, apart: tuple[str, ...] = ()) -> str:
    """First 16 hex digits of the sha256 of the source of some modules and of all of medray that they import.

    The versions of the libraries that they import and that compute numbers count as well. Python versions differ in their syntax
    trees, and so in the fingerprint. The source is read from wherever medray is installed, a zip file too.

    Args:
        modules: dotted names.
        apart: modules and packages that are not followed where others import them, besides :data:`APART`.

    Raises:
        ModuleNotFoundError: there is no such module of medray.
    """
    skipped = (*APART, *apart)
    found: dict[str, _Module] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _module(name)
            waiting += (one for one in _own(found[name].imports) if not _is_in(one, skipped))
    packages = {name.split(".")[0] for module in found.values() for name in module.imports}
    libraries = {name: _version(_LIBRARIES[name]) for name in packages & _LIBRARIES.keys()}
    sources = {name: module.digest for name, module in found.items()}
    return hashlib.sha256(repr([sorted(sources.items()), sorted(libraries.items())]).encode()).hexdigest()[:16]


def _is_in(name: str, places: Collection[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _own(imports: Collection[str]) -> Iterator[str]:
    """The modules of medray among imported names, which may name a function of a module."""
    for name in imports:
        if name.startswith("medray."):
            yield name if _text(name) is not None else name.rpartition(".")[0]


@cache
def _root() -> Traversable:
    return files("medray")


@cache
def _text(module: str) -> str | None:
    """The source of a module or package of medray; None where there is none of that name."""
    *folders, name = module.split(".")[1:]
    folder = _root().joinpath(*folders)
    for file in (folder.joinpath(f"{name}.py"), folder.joinpath(name, "__init__.py")):
        if file.is_file():
            return file.read_text("utf-8")
    return None


@cache
def _module(name: str) -> _Module:
    text = _text(name)
    if text is None:
        raise ModuleNotFoundError(f"medray has no module {name}", name=name)
    tree = ast.parse(text)
    imports: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imports.update(f"{node.module}.{alias.name}" for alias in node.names)
    imports.update(re.findall(r'\bneeded\("(\w+)"', text))  # modules of extras, see medray.extras
    return _Module(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), frozenset(imports))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements of a module or statement, also the inner ones; those without effect are taken out of the tree."""
    if isinstance(body := getattr(node, "body", None), list):
        body[:] = [statement for statement in body if not _has_no_effect(statement)]
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from _statements(child)


def _has_no_effect(statement: ast.stmt) -> bool:
    """A docstring, or what is imported for type checkers alone."""
    if isinstance(statement, ast.If):
        return isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING"
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _version(distribution: str) -> str:
    """The installed version; "" where there is none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
