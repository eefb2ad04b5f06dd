"""The locks: every dependency is there with one version and its hashes, as pyproject.toml and constraints.txt ask for.

``make lock`` writes them anew.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCKS = ("build", "runtime", "torch-cpu", "torch-cuda", "dev")
PYTHONS = ("3.11", "3.12", "3.13")


@cache
def entries(lock: str) -> tuple[tuple[Requirement, frozenset[str]], ...]:
    """(requirement, its hashes) of each entry of a lock."""
    text = re.sub(r"^#.*\n", "", (ROOT / "locks" / f"{lock}.txt").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found = [line.partition("--hash") for line in text.splitlines() if line.strip()]
    return tuple((Requirement(head), frozenset(re.findall(r"sha256:([0-9a-f]{64})\b", hashes))) for head, _, hashes in found)


def locked(*locks: str, python: str = "3.11") -> dict[str, Version]:
    """Name → version that locks install on a Python on Linux."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    found: dict[str, set[Version]] = defaultdict(set)
    for lock in locks:
        for requirement, _ in entries(lock):
            if requirement.marker is None or requirement.marker.evaluate(environment):
                (specifier,) = requirement.specifier
                found[canonicalize_name(requirement.name)].add(Version(specifier.version))
    assert {name: versions for name, versions in found.items() if len(versions) > 1} == {}
    return {name: version for name, (version,) in found.items()}


def asked(extra: str) -> Iterator[Requirement]:
    """The requirements of pyproject.toml with those of an extra and of the extras that it names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"][extra]]:
        found = Requirement(text)
        if found.name == "medray":
            for inner in found.extras:
                yield from asked(inner)
        else:
            yield found


def closure(requirements: list[Requirement]) -> set[str]:
    """Names of the distributions that requirements bring, as those that are installed here say."""
    found: set[str] = set()
    waiting, seen = list(requirements), set()
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            if (key := (canonicalize_name(requirement.name), extra)) in seen:
                continue
            seen.add(key)
            found.add(key[0])
            try:
                needed = map(Requirement, requires(key[0]) or [])
            except PackageNotFoundError:
                continue
            waiting += [one for one in needed if one.marker is None or one.marker.evaluate({"extra": extra})]
    return found


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("extra", "locks"),
    [("all", ("runtime", "torch-cpu")), ("all", ("runtime", "torch-cuda")), ("dev", ("runtime", "dev", "torch-cpu"))],
)
def test_each_dependency_is_locked_as_asked_for(extra: str, locks: tuple[str, ...], python: str) -> None:
    versions = locked(*locks, python=python)
    for requirement in asked(extra):
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, requirement


@pytest.mark.parametrize(("extra", "locks"), [("all", ("runtime", "torch-cpu")), ("dev", ("runtime", "dev", "torch-cpu"))])
def test_what_dependencies_depend_on_is_locked(extra: str, locks: tuple[str, ...]) -> None:
    found = closure(list(asked(extra)))
    assert len(found) > 100
    assert found - set(locked(*locks)) == set()


@pytest.mark.parametrize("python", PYTHONS)
def test_the_locks_hold_the_pins_of_the_constraints(python: str) -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = {canonicalize_name(pin.name): pin.specifier for pin in map(Requirement, lines)}
    for torch in ("torch-cpu", "torch-cuda"):
        versions = locked("runtime", "dev", torch, python=python)
        assert {name: str(versions[name]) for name, pin in pins.items() if versions[name] not in pin} == {}


@pytest.mark.parametrize("lock", LOCKS)
def test_each_entry_has_one_version_and_hashes(lock: str) -> None:
    for requirement, hashes in entries(lock):
        assert [one.operator for one in requirement.specifier] == ["=="], requirement
        assert hashes, requirement
        assert requirement.url is None


def test_what_builds_medray_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    versions = locked("build")
    for text in [*project["build-system"]["requires"], *project["dependency-groups"]["build"]]:
        assert versions[Requirement(text).name] in Requirement(text).specifier
    for torch in ("torch-cpu", "torch-cuda"):
        assert locked("build", "runtime", "dev", torch)["setuptools"] == versions["setuptools"]


def test_the_cpu_and_the_cuda_build_differ_in_pytorch_alone() -> None:
    cpu, cuda = dict(entries("torch-cpu")), dict(entries("torch-cuda"))
    versions = {lock: {one.name: str(one.specifier) for one in found} for lock, found in (("cpu", cpu), ("cuda", cuda))}
    assert versions["cpu"].pop("torch") == versions["cuda"].pop("torch") + "+cpu"
    assert versions["cpu"].items() <= versions["cuda"].items()
    extra = versions["cuda"].keys() - versions["cpu"].keys()
    assert all(name.startswith(("nvidia-", "cuda-", "triton")) for name in extra)
    assert not any(name.startswith(("nvidia-", "torch", "triton")) for name in locked("runtime", "dev"))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    text = (ROOT / "locks" / f"{lock}.txt").read_text()
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host|@ ", text)


def test_what_installs_installs_from_the_locks() -> None:
    for name in ("Makefile", "cluster.yaml", "README.md", "deploy/Dockerfile"):
        text = (ROOT / name).read_text()
        assert "--require-hashes" in text
        assert "-c constraints.txt '.[" not in text
        assert not re.search(r"-e '[^']*\[", text), "an extra brings what is not locked"
