"""Descriptions of the preprocessing ops as plain data, made from their specs."""

from __future__ import annotations

import difflib
import inspect
from typing import Any, get_args

from medray.errors import ConfigError
from medray.imaging.op import OpSpec
from medray.imaging.table import Op
from medray.spec import fields_of


def op_names() -> list[str]:
    """The names of all ops, sorted."""
    return sorted(_specs())


def describe_op(name: str) -> dict[str, Any]:
    """One op: ``name``, ``summary`` (one sentence), ``details`` (paragraphs), ``dimensions``, ``colour`` (whether it takes it),
    ``source`` and ``parameters``.

    Raises:
        ConfigError: OP_UNKNOWN.
    """
    specs = _specs()
    if name not in specs:
        close = difflib.get_close_matches(name, specs, n=1)
        hint = f"did you mean {close[0]}?" if close else "`medray ops list` names them all"
        raise ConfigError("OP_UNKNOWN", f"there is no op {name!r}", hint)
    kind = specs[name]
    text = inspect.cleandoc(kind.__doc__ or "").replace("``", "`")
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return {
        "name": name,
        "summary": paragraphs[0],
        "details": paragraphs[1:],
        "dimensions": list(kind.dimensions),
        "colour": kind.takes_colour,
        "source": kind.source,
        "parameters": fields_of(kind),
    }


def _specs() -> dict[str, type[OpSpec]]:
    return {kind.model_fields["op"].default: kind for kind in get_args(Op)}
