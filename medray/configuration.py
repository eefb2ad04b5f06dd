"""Configuration files: YAML, overrides of the form ``a.b=c``, and one clear line when something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from medray.data import store
from medray.errors import ConfigError
from medray.explain import explain
from medray.spec import Spec

S = TypeVar("S", bound=Spec)


def load_config(uri: str, kind: type[S], overrides: Sequence[str] = ()) -> S:
    """Read a YAML file, apply the overrides and validate.

    Args:
        uri: path or URI of the file.
        kind: the model to validate against.
        overrides: ``a.b=value`` each, the value in YAML.

    Raises:
        ConfigError: CONFIG_UNREADABLE, CONFIG_OVERRIDE, CONFIG_INVALID.
        StoreError: the file cannot be fetched.
    """
    try:
        raw = yaml.safe_load(store.read(uri))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no such date, or not UTF-8
        raise ConfigError("CONFIG_UNREADABLE", f"{uri} is not valid YAML: {error}", "check its indentation and quotes") from error
    if not isinstance(raw, dict):
        raise ConfigError("CONFIG_UNREADABLE", f"{uri} does not hold a mapping", "write the configuration as a YAML mapping")
    return validated(raw, kind, overrides, uri)


def validated(raw: dict[str, Any], kind: type[S], overrides: Sequence[str], source: str) -> S:
    """Plain data with overrides as a model.

    Raises:
        ConfigError: CONFIG_OVERRIDE, CONFIG_INVALID.
    """
    for override in overrides:
        apply_override(raw, override)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(
            "CONFIG_INVALID", f"{source}: {explain(error, kind)}", "see the configuration reference in the README"
        ) from error


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set ``a.b.c=value`` in nested mappings (and lists, by index).

    Raises:
        ConfigError: CONFIG_OVERRIDE.
    """
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError("CONFIG_OVERRIDE", f"--set {override!r} is not of the form a.b=value", "for example --set seed=1")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError("CONFIG_OVERRIDE", f"--set {override!r}: the value is not valid YAML", "quote it") from error
    node: Any = raw
    for key in keys[:-1]:
        node = _child(node, key, override)
    _assign(node, keys[-1], value, override)


def _child(node: Any, key: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, key, override)]
    child = node.setdefault(key, {})
    if child is None:
        child = node[key] = {}
    if not isinstance(child, (dict, list)):
        raise ConfigError("CONFIG_OVERRIDE", f"--set {override!r}: {key} is a value, not a mapping")
    return child


def _assign(node: Any, key: str, value: Any, override: str) -> None:
    if isinstance(node, list):
        node[_index(node, key, override)] = value
    else:
        node[key] = value


def _index(node: list[Any], key: str, override: str) -> int:
    if not key.isdecimal() or int(key) >= len(node):
        raise ConfigError("CONFIG_OVERRIDE", f"--set {override!r}: {key} is not an index of a list of {len(node)}")
    return int(key)
