"""The registry: one champion for each question, nothing overwritten, nothing lost, whoever writes at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from medray.bundles import registry
from medray.bundles.manifest import Manifest, read_manifest, write_bundle
from medray.bundles.registry_table import NOT_PROMOTED, PROMOTED, Entry, Published
from medray.data import store, tables
from medray.errors import BundleError, StoreError
from medray.tasks.binary import Binary
from medray.tasks.regression import Regression
from medray.tasks.task import Task

MALIGNANT, LESION = Binary(target="malignant"), Binary(target="lesion")


@pytest.fixture(params=["local", "s3"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    root = str(tmp_path) if request.param == "local" else str(request.getfixturevalue("s3"))
    return f"{root}/out"


@pytest.fixture
def out(tmp_path: Path) -> str:
    return str(tmp_path / "out")


def published(output: str, name: str, task: Task = MALIGNANT, **provenance: Any) -> Published:
    """A bundle at its place under the output, as the registry knows it."""
    manifest = Manifest(name=name, task=task, family="xgb", params={}, input=None, provenance=provenance)  # type: ignore[arg-type]
    uri = store.join(output, "bundles", "run", name)
    write_bundle(manifest, {}, uri)
    known = {"question": task.question, "task": task.kind, "target": task.target, "run": "run", "model": name}
    return Published(uri, read_manifest(uri).fingerprint(), **known, family="xgb", monitor="auroc", value=0.9)


def fails(code: str, call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises((BundleError, StoreError)) as caught:
        call(*arguments)
    assert caught.value.code == code
    return str(caught.value)


def test_publishing_makes_no_champion_and_promoting_does(output: str) -> None:
    fails("BUNDLE_NO_CHAMPION", registry.champion, output)
    first, second = published(output, "first"), published(output, "second")
    registry.publish(output, [first, second])
    registry.publish(output, [second])
    assert [one.bundle for one in registry.history(output)] == [first.bundle, second.bundle]
    fails("BUNDLE_NO_CHAMPION", registry.champion, output)
    made = registry.promote(output, second, "ann", "it was looked at")
    assert registry.promote(output, second, "ann", "again") == made, "what is champion stays it by its first entry"
    found = registry.champion(output)
    assert found == made
    assert (found.bundle, found.fingerprint) == (second.bundle, read_manifest(second.bundle).fingerprint())
    assert "promoted 20" in found.why
    assert found.why.endswith("UTC by ann: it was looked at")
    assert registry.recorded(second.bundle) == second.fingerprint
    assert registry.recorded(first.bundle + "x") is None
    assert [one.entry for one in registry.history(output)] == [0, 1, 2]


def test_a_champion_that_is_gone_is_not_replaced_by_another(out: str) -> None:
    first, second = published(out, "first"), published(out, "second")
    for one in (first, second):
        registry.promote(out, one, "ann", "")
    store.delete(second.bundle)
    assert second.bundle in fails("BUNDLE_NOT_FOUND", registry.champion, out)


def test_champions_of_several_questions_are_told_apart(out: str) -> None:
    malignant, lesion = published(out, "one"), published(out, "two", LESION)
    registry.publish(out, [lesion])
    registry.promote(out, malignant, "ann", "")
    assert registry.champion(out).bundle == malignant.bundle
    assert malignant.question in fails("BUNDLE_NO_CHAMPION", registry.champion, out, "lesion")
    registry.promote(out, lesion, "ann", "")
    said = fails("BUNDLE_SEVERAL_TASKS", registry.champion, out)
    assert malignant.question in said
    assert lesion.question in said
    assert registry.champion(out, "malignant").bundle == malignant.bundle
    assert registry.champion(out, lesion.question).bundle == lesion.bundle
    fails("BUNDLE_NO_CHAMPION", registry.champion, out, "other")


def test_one_target_may_have_several_questions(out: str) -> None:
    """Another positive value, or a number in place of a class, is another question, though the column is the same."""
    tasks = [Binary(target="finding"), Binary(target="finding", positive="2"), Regression(target="finding")]
    made = [published(out, str(number), task) for number, task in enumerate(tasks)]
    for one in made:
        registry.promote(out, one, "ann", "")
    said = fails("BUNDLE_SEVERAL_TASKS", registry.champion, out, "finding")
    assert all(task.question in said for task in tasks)
    assert [registry.champion(out, one.question).bundle for one in made] == [one.bundle for one in made]


def test_a_rollback_restores_and_is_an_entry_more(output: str) -> None:
    a, b, c = (published(output, name) for name in "abc")
    other = published(output, "other", LESION)
    for one in (a, other, b, c):
        registry.promote(output, one, "ann", f"take {one.model}")
    before = registry.history(output)
    restored = registry.rollback(output, "malignant", "bob", "c flags everything")
    assert registry.history(output) == [*before, restored]
    assert (restored.bundle, restored.fingerprint, restored.replaced) == (b.bundle, b.fingerprint, c.fingerprint)
    assert registry.champion(output, "malignant") == restored
    assert "rolled back" in restored.why
    assert "by bob: c flags everything" in restored.why
    assert registry.rollback(output, "malignant", "bob", "b too").bundle == a.bundle
    fails("REGISTRY_NO_FORMER", registry.rollback, output, "malignant", "bob", "")
    fails("BUNDLE_SEVERAL_TASKS", registry.rollback, output, None, "bob", "")
    assert registry.champion(output, "lesion").bundle == other.bundle
    registry.promote(output, b, "ann", "b after all")
    assert registry.rollback(output, "malignant", "bob", "no").bundle == a.bundle


def test_a_rollback_to_what_has_changed_is_refused(out: str) -> None:
    a, b = published(out, "a"), published(out, "b")
    for one in (a, b):
        registry.promote(out, one, "ann", "")
    published(out, "a", Binary(target="malignant", positive="2"))
    fails("BUNDLE_CHANGED", registry.rollback, out, None, "bob", "")
    assert registry.champion(out).bundle == b.bundle


def test_a_rollback_to_files_that_were_altered_is_refused(out: str) -> None:
    a, b = published(out, "a"), published(out, "b")
    for one in (a, b):
        registry.promote(out, one, "ann", "")
    store.write(store.join(a.bundle, "model", "more"), b"x")
    fails("BUNDLE_ALTERED", registry.rollback, out, None, "bob", "")
    assert registry.champion(out).bundle == b.bundle


def promote_in_turn(output: str, bundles: list[Published]) -> None:
    for one in bundles:
        registry.promote(output, one, "ann", f"take {one.model}")


def test_promotions_at_once_lose_none(output: str) -> None:
    bundles = [published(output, f"m{number}") for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: promote_in_turn(output, bundles[part::4]), range(4)))
    check_chain(output, bundles)


def test_promotions_of_two_processes_lose_none(out: str) -> None:
    bundles = [published(out, f"m{number}") for number in range(10)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(promote_in_turn, out, bundles[part::2]) for part in range(2)]:
            done.result()
    check_chain(out, bundles)


def check_chain(output: str, bundles: list[Published]) -> None:
    """Each bundle was promoted once, in one order in which each replaced the one before it."""
    entries = registry.history(output)
    assert [one.entry for one in entries] == list(range(len(bundles)))
    assert sorted(one.bundle for one in entries) == sorted(one.bundle for one in bundles)
    assert entries[0].replaced == ""
    assert all(later.replaced == former.fingerprint for former, later in pairwise(entries))
    assert registry.champion(output) == entries[-1]


def test_a_policy_that_compared_with_a_former_champion_is_not_heard(out: str) -> None:
    a, b, c = (published(out, name) for name in "abc")
    compared = registry.promote(out, a, "ann", "")
    registry.promote(out, b, "ann", "meanwhile")
    assert not registry.settle(out, Entry.about(c, PROMOTED, reason="better than a"), compared)
    assert not registry.settle(out, Entry.about(c, PROMOTED, reason="the first"), None)
    assert registry.champion(out).bundle == b.bundle
    assert registry.settle(out, Entry.about(c, PROMOTED, reason="better than b", figures={"gain": 0.1}), registry.champion(out))
    assert registry.champion(out).bundle == c.bundle
    assert registry.champion(out).figures == {"gain": 0.1}


def test_the_same_refusal_is_recorded_once(out: str) -> None:
    a, b = published(out, "a"), published(out, "b")
    rival = registry.promote(out, a, "ann", "")
    entry = Entry.about(b, NOT_PROMOTED, policy="if_better", reason="worse", replaced=a.fingerprint)
    for one in (entry, entry, replace(entry, reason="still worse"), entry):
        assert registry.settle(out, one, rival)
    assert [one.reason for one in registry.history(out)] == ["", "worse", "still worse"]
    assert registry.champion(out) == rival


# --- what other versions wrote -------------------------------------------------------------------------------------------------


def earlier(output: str, *rows: dict[str, Any]) -> None:
    """A registry as 0.5.0 wrote it."""
    always = {"family": "xgb", "monitor": "auroc", "value": 0.8, "task": "binary", "target": "malignant", "model": "m"}
    table = [
        {**always, "run": f"r{at}", "published_at": f"2026-11-{at + 10}T00:00:00.000+00:00", **one} for at, one in enumerate(rows)
    ]
    tables.append(registry.registry_uri(output), pa.Table.from_pylist(table))


def test_a_registry_of_an_earlier_version_is_read_and_its_champions_are_refused(output: str) -> None:
    old, new = published(output, "old"), published(output, "new")
    earlier(
        output,
        {"bundle": old.bundle, "fingerprint": old.fingerprint, "champion": True},
        {"bundle": new.bundle, "fingerprint": new.fingerprint, "champion": False},
    )
    assert [(one.bundle, one.event, one.at[:10]) for one in registry.history(output)] == [
        (old.bundle, "newest", "2026-11-10"),
        (new.bundle, "published", "2026-11-11"),
    ]
    assert "medray registry promote" in fails("REGISTRY_EARLIER", registry.champion, output)
    registry.promote(output, old, "ann", "it was the best")
    assert registry.champion(output).bundle == old.bundle
    assert [one.entry for one in registry.history(output)] == [0, 1, 2]
    assert [one.event for one in registry.history(output)] == ["newest", "published", "promoted"]
    fails("REGISTRY_NO_FORMER", registry.rollback, output, None, "bob", "")


def test_a_registry_of_the_version_before_that_is_read_too(out: str) -> None:
    """It had neither task nor target."""
    row = {"published_at": "2026-10-01T00:00:00.000+00:00", "run": "r", "model": "m", "family": "xgb", "bundle": "/b"}
    tables.append(registry.registry_uri(out), pa.Table.from_pylist([{**row, "fingerprint": "f", "auroc": 0.7, "champion": True}]))
    fails("REGISTRY_EARLIER", registry.champion, out)
    assert registry.recorded("/b", out) == "f"


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [("event", "crowned", "crowned"), ("figures", "{", "figures of entry 0"), ("fingerprint", None, "no column fingerprint")],
)
def test_what_cannot_be_read_is_refused(out: str, column: str, values: str | None, says: str) -> None:
    row: dict[str, Any] = {"entry": 0, "run": "r", "model": "m", "family": "f", "bundle": "/b", "fingerprint": "f"}
    row |= {"event": "promoted", "figures": "{}"}
    changed = {name: value for name, value in {**row, column: values}.items() if value is not None}
    tables.append(registry.registry_uri(out), pa.Table.from_pylist([changed]))
    assert says in fails("REGISTRY_FORMAT", registry.champion, out)
    fails("REGISTRY_FORMAT", registry.publish, out, [published(out, "a")])


# --- what a bundle is called ---------------------------------------------------------------------------------------------------


def test_a_run_that_is_repeated_keeps_the_fingerprint_of_its_bundle(out: str) -> None:
    """A night fixes the fingerprint, and a catalog that grew by images without labels changes nothing in a bundle."""
    first = published(out, "a", catalog_version=3)
    assert published(out, "a", catalog_version=4).fingerprint == first.fingerprint
    assert read_manifest(first.bundle).provenance == {"catalog_version": 3}
    assert published(out, "a", LESION, catalog_version=4).fingerprint != first.fingerprint
    assert read_manifest(first.bundle).provenance == {"catalog_version": 4}


def test_the_root_of_a_bundle_is_told_by_its_place() -> None:
    assert registry.root_of("s3://bucket/site/out/bundles/run-1/xgb/") == "s3://bucket/site/out"
    assert registry.root_of("/data/bundles/bundles/run/xgb") == "/data/bundles"
    assert registry.root_of("/data/exported") is None
