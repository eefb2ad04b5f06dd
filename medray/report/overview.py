"""The picture of a catalog: how many images of each modality, transfer syntax, size and year."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MAX_BARS = 10
_LONGEST_NAME = 38
_INK, _BAR = "#1b2a33", "#2b6f8f"
_STYLE: Any = {
    "font.size": 9,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#c3ccd1",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_PANELS = {
    "modalities": "Modality",
    "transfer_syntaxes": "Transfer syntax",
    "sizes": "Rows × columns",
    "study_years": "Year of the study",
    "states": "State of the objects",
    "codes": "Why objects are not images",
}


def overview_png(summary: Mapping[str, Any]) -> bytes:
    """A PNG of bar charts.

    Args:
        summary: what :func:`medray.cataloguing.queries.summary` gives.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(12, 9), layout="constrained", dpi=110)
        title = f"{summary['objects']:,} objects, {summary['images']:,} images, {summary['studies']:,} studies"
        figure.suptitle(f"{title} (version {summary['version']})", fontsize=12)
        for axes, (name, heading) in zip(figure.subplots(3, 2).flat, _PANELS.items(), strict=True):
            axes.set_title(heading, loc="left", fontsize=10)
            draw = _nothing if not summary[name] else _years if name == "study_years" else _bars
            draw(axes, summary[name])
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _nothing(axes: Axes, _: Mapping[str, int]) -> None:
    axes.text(0.5, 0.5, "none", ha="center", va="center", transform=axes.transAxes)
    axes.set_axis_off()


def _years(axes: Axes, counts: Mapping[str, int]) -> None:
    """Upright bars in the given order; at most two dozen are named."""
    shown = {_name(name): count for name, count in counts.items()}
    axes.bar(list(shown), list(shown.values()), color=_BAR)
    step = max(1, len(shown) // 12)
    axes.set_xticks(range(0, len(shown), step), list(shown)[::step], rotation=45, ha="right", rotation_mode="anchor")
    axes.set_ylabel("images")


def _bars(axes: Axes, counts: Mapping[str, int]) -> None:
    """Lying bars of the largest counts, the others as one."""
    largest = list(counts.items())[:MAX_BARS]
    rest = sum(counts.values()) - sum(count for _, count in largest)
    shown = dict([(_name(name), count) for name, count in largest] + ([("others", rest)] if rest else []))
    bars = axes.barh(list(shown), list(shown.values()), color=_BAR)
    axes.bar_label(bars, labels=[f"{count:,}" for count in shown.values()], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)


def _name(value: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in value)
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
