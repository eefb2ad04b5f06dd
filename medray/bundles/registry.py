"""The registry of an output root: what was published, and which bundle is champion, since when, by whom and why.

There is one champion for each question, that is what a task asks (see :attr:`medray.tasks.task.Task.question`), so none is ever
compared with, or taken for, a model of another target. Nothing is overwritten: a rollback is an entry more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from medray.bundles.manifest import MANIFEST, check_bundle
from medray.bundles.registry_table import (
    NEWEST,
    NOT_PROMOTED,
    PROMOTED,
    PUBLISHED,
    ROLLED_BACK,
    Entry,
    change,
)
from medray.bundles.registry_table import Published as Published
from medray.bundles.registry_table import history as history
from medray.bundles.registry_table import registry_uri as registry_uri
from medray.bundles.registry_table import user as user
from medray.data import store
from medray.errors import BundleError


def root_of(bundle_uri: str) -> str | None:
    """The output root that a bundle was published under, by its place ``OUTPUT/bundles/RUN/MODEL``; None elsewhere."""
    found = re.fullmatch(r"(.+)/bundles/[^/]+/[^/]+", store.normalise(bundle_uri))
    return found[1] if found else None


def standings(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Question → the entries that made its champions; the last one made the present champion, the one before it the former."""
    found: dict[str, list[Entry]] = {}
    for one in entries:
        line = found.setdefault(one.question, [])
        if one.event == ROLLED_BACK:
            del line[-2:]
        if one.event in (PROMOTED, ROLLED_BACK):
            line.append(one)
    return {question: line for question, line in found.items() if line}


def current(entries: Sequence[Entry], question: str) -> Entry | None:
    """The entry that made the present champion of a question; None where there is none."""
    line = standings(entries).get(question)
    return line[-1] if line else None


def champion(output: str, which: str | None = None) -> Entry:
    """The entry that made the champion; its ``fingerprint`` is that of the bundle that was meant.

    Args:
        which: the question or the target; needed where several have a champion.

    Raises:
        BundleError: BUNDLE_NO_CHAMPION, BUNDLE_SEVERAL_TASKS, BUNDLE_NOT_FOUND, REGISTRY_EARLIER.
    """
    found = _line(output, history(output), which)[-1]
    if not store.exists(store.join(found.bundle, MANIFEST)):
        raise BundleError("BUNDLE_NOT_FOUND", f"the champion {found.bundle} is gone", "promote another, or name a bundle")
    return found


def recorded(bundle_uri: str, output: str | None = None) -> str | None:
    """The fingerprint that a registry recorded last of the bundle at a URI, for whoever opens it; None where none did.

    Args:
        output: whose registry is looked into before that of the output that the bundle was published under.
    """
    uri, root = store.normalise(bundle_uri), root_of(bundle_uri)
    if output and (found := _last(history(output), lambda one: one.bundle == uri)):
        return found
    if root is None:
        return None
    own = history(root)
    return _last(own, lambda one: one.bundle == uri) or _last(own, lambda one: _place(one.bundle) == _place(uri))


def _last(entries: Sequence[Entry], meant: Callable[[Entry], bool]) -> str | None:
    return next((one.fingerprint for one in reversed(entries) if meant(one)), None)


def _place(uri: str) -> str:
    """``RUN/MODEL`` of a bundle under ``OUTPUT/bundles``: it stays what it is where the output is moved, copied or linked to."""
    return "/".join(store.normalise(uri).split("/")[-2:])


def publish(output: str, bundles: Sequence[Published]) -> None:
    """Record bundles in one commit; those that are recorded already are left alone."""

    def new(entries: Sequence[Entry]) -> list[Entry]:
        return [Entry.about(one, PUBLISHED) for one in bundles if not any(map(one.is_same, entries))]

    change(output, new)


def promote(output: str, bundle: Published, by: str, reason: str) -> Entry:
    """Make a bundle the champion of its question by hand; returns the entry that made it so, an older one if it is already."""
    former: Entry | None = None

    def new(entries: Sequence[Entry]) -> list[Entry]:
        nonlocal former
        former = current(entries, bundle.question)
        if former and former.is_same(bundle):
            return []
        return [Entry.about(bundle, PROMOTED, by=by, reason=reason, replaced=former.fingerprint if former else "")]

    added = change(output, new)
    return added[0] if added or former is None else former


def settle(output: str, entry: Entry, rival: Entry | None) -> bool:
    """Record what a policy decided about a champion; False, and nothing recorded, where another one took its place meanwhile.

    That a bundle was not promoted is recorded once for each reason.
    """
    unchanged = False

    def new(entries: Sequence[Entry]) -> list[Entry]:
        nonlocal unchanged
        unchanged = current(entries, entry.question) == rival
        said = entry.event == NOT_PROMOTED and any(map(entry.repeats, entries))
        return [entry] if unchanged and not said else []

    change(output, new)
    return unchanged


def rollback(output: str, which: str | None, by: str, reason: str) -> Entry:
    """Make the champion before the present one champion again.

    Raises:
        BundleError: REGISTRY_NO_FORMER; where the former one is not what it was as
            :func:`medray.bundles.manifest.check_bundle`; and as :func:`champion`.
    """

    def new(entries: Sequence[Entry]) -> list[Entry]:
        line = _line(output, entries, which)
        if len(line) < 2:
            message = f"{line[-1].bundle} is the first champion of {line[-1].question}"
            raise BundleError("REGISTRY_NO_FORMER", message, "promote another with `medray registry promote`")
        former = line[-2]
        check_bundle(former.bundle, former.fingerprint)
        return [Entry.about(former, ROLLED_BACK, by=by, reason=reason, replaced=line[-1].fingerprint)]

    return change(output, new)[0]


def _line(output: str, entries: Sequence[Entry], which: str | None) -> list[Entry]:
    """The champions of the question that is meant."""
    lines = standings(entries)
    meant = {question: line for question, line in lines.items() if which in (None, question, line[-1].target)}
    if len(meant) == 1:
        return next(iter(meant.values()))
    if meant:
        message = f"there are champions of several questions under {output}: {'; '.join(sorted(meant))}"
        raise BundleError("BUNDLE_SEVERAL_TASKS", message, "name one as champion: its target, or all of its text")
    if not lines and any(one.event == NEWEST for one in entries):
        message = f"an earlier medray recorded the champions under {output}: the newest run of each, whatever its figures"
        raise BundleError("REGISTRY_EARLIER", message, "`medray registry promote BUNDLE` the one that is meant")
    of = f" of {which}" if which else ""
    known = f"; there are champions of {'; '.join(sorted(lines))}" if lines else ""
    hint = "train a model, promote one with `medray registry promote BUNDLE`, or name a bundle"
    raise BundleError("BUNDLE_NO_CHAMPION", f"there is no champion{of} under {output}{known}", hint)
