"""What `medray registry` answers: published bundles with their standing, changes, and changes by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from medray.bundles import registry
from medray.bundles.bundle import open_bundle
from medray.bundles.registry_table import Entry
from medray.data import store
from medray.errors import ConfigError

CHAMPION, FORMER, PLAIN = "champion", "former champion", "published"


def listed(output: str) -> list[dict[str, Any]]:
    """Every published bundle by its latest change of standing, champions first, the newest of equals first."""
    entries = registry.history(output)
    latest = {(one.bundle, one.fingerprint): one for one in entries}
    rows = [{"standing": _standing(one, entries), **asdict(one)} for one in latest.values()]
    order = [CHAMPION, FORMER, PLAIN]
    return sorted(rows, key=lambda row: (row["question"], order.index(row["standing"]), -row["entry"]))


def listed_changes(output: str) -> list[dict[str, Any]]:
    """Every entry, oldest first."""
    return [asdict(one) for one in registry.history(output)]


def details(bundle_uri: str, output: str | None = None) -> dict[str, Any]:
    """A bundle as it was published last, its standing, and every change that it was part of.

    Raises:
        ConfigError: REGISTRY_OUTPUT, REGISTRY_UNKNOWN.
    """
    uri = store.normalise(bundle_uri)
    root = _root(uri, output)
    entries = registry.history(root)
    own = [one for one in entries if one.bundle == uri]
    if not own:
        message = f"{uri} is not in the registry of {root}"
        raise ConfigError("REGISTRY_UNKNOWN", message, "`medray registry list` shows what is; promoting a bundle records it")
    last = own[-1]
    part = [one for one in entries if one.bundle == uri or one.replaced == last.fingerprint]
    changes = [{"at": one.at, "event": one.event, "bundle": one.bundle, "by": one.by, "reason": one.reason} for one in part]
    shown = ("question", "bundle", "fingerprint", "run", "model", "family", "monitor", "value")
    return {"standing": _standing(last, entries), **{name: getattr(last, name) for name in shown}, "changes": changes}


def promote(bundle_uri: str, output: str | None, by: str | None, reason: str) -> dict[str, Any]:
    """Make a bundle champion; its files are checked first.

    Raises:
        ConfigError: REGISTRY_OUTPUT; BundleError.
    """
    uri = store.normalise(bundle_uri)
    root = _root(uri, output)
    bundle = open_bundle(uri, fingerprint=registry.recorded(uri, root))
    return _change(registry.promote(root, registry.Published.of(bundle), by or registry.user(), reason))


def rollback(output: str, which: str | None, by: str | None, reason: str) -> dict[str, Any]:
    """Make the champion before the present one champion again; raises what :func:`medray.bundles.registry.rollback` does."""
    return _change(registry.rollback(output, which, by or registry.user(), reason))


def _change(entry: Entry) -> dict[str, Any]:
    names = ("question", "bundle", "fingerprint", "event", "at", "by", "reason", "replaced")
    return {name: getattr(entry, name) for name in names}


def _standing(entry: Entry, entries: list[Entry]) -> str:
    champion = registry.current(entries, entry.question)
    if champion and champion.is_same(entry):
        return CHAMPION
    promoted = any(one.event in ("promoted", "rolled_back") and one.is_same(entry) for one in entries)
    return FORMER if promoted else PLAIN


def _root(bundle_uri: str, output: str | None) -> str:
    """The root of the registry that is meant."""
    root = output or registry.root_of(bundle_uri)
    if root is None:
        message = f"{bundle_uri} does not lie under OUTPUT/bundles/RUN/MODEL, so it does not tell whose registry is meant"
        raise ConfigError("REGISTRY_OUTPUT", message, "give --output")
    return store.normalise(root)
