"""Every op says what it does, what its parameters may be and where it comes from, and docs/ops.md says the same.

``python tests/imaging/test_docs.py > docs/ops.md`` writes the page anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medray.imaging.describe import describe_op, op_names
from medray.imaging.table import OPS

PAGE = Path(__file__).parents[2] / "docs" / "ops.md"
HEAD = """# Preprocessing ops

A spec is an ordered list of steps, each an op and its parameters:

```yaml
steps:
  - {op: orient}
  - {op: resample, row_mm: 0.5, column_mm: 0.5}
  - {op: percentile, low: 1, high: 99}
  - {op: resize, rows: 224, columns: 224, keep_aspect: true}
  - {op: pad, rows: 224, columns: 224}
```

It stands under `inputs.NAME.preprocess` in a training configuration, travels in the bundle, and is the same for one image, a
batch, and on Ray. `medray preview SRC --spec FILE` draws each step; `medray ops describe NAME` says what stands here.

What holds for every op:

- Pixels are float32 and finite before and after, in the units of the modality (HU for CT) until an op changes them. Colour has
  become luminance (ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B) when the file was decoded, and MONOCHROME1 was mirrored, so larger
  is brighter.
- An input with `colour: true` keeps red, green and blue as three channels. Ops marked colour take them: those of geometry and
  filters treat each channel alike, scales of intensity are one for all channels, and what is found in an image (a foreground) is
  found in its luminance. The other ops refuse colour in the configuration, and a single image as `OP_COLOUR`.
- Two masks go along: which pixels are valid (padding is not), and the region of interest. Statistics are taken over valid pixels.
- Spacing, orientation and position (first pixel, in the patient) stay true. What can no longer be known is dropped: cut slices
  off a sheared volume, and its position is unknown.
- Where pixels lie on the plane that was decoded is recorded (`grid`), so that a mask found on the prepared plane goes back to it
  (`medray.imaging.place.restored`).
- An op that changes the units of the pixels drops the VOI window and LUT of the image and its `units`, or states others
  ([units.md](units.md)). An op with numbers in HU refuses pixels that are known to be in other units (`UNITS_DIFFER`).
- An image that an op cannot treat is excluded or quarantined under a code of [codes.md](codes.md), never replaced. So are images
  of more than 2²⁸ pixels (`IMAGE_TOO_LARGE`), and planes where an op takes volumes only (`OP_DIMENSIONS`), or the reverse.

"""


def page() -> str:
    """docs/ops.md."""
    ops = [describe_op(name) for name in op_names()]
    rows = (f"| [{op['name']}](#{op['name']}) | {_kinds(op)} | {_cell(op['summary'])} |" for op in ops)
    table = ["| op | images | what it does |", "|---|---|---|", *rows, ""]
    return HEAD + "\n".join([*table, *(line for op in ops for line in _section(op))])


def _section(op: dict[str, Any]) -> Iterator[str]:
    paragraphs = [part for paragraph in (op["summary"], *op["details"]) for part in (paragraph.replace("``", "`"), "")]
    yield from (f"## {op['name']}", "", *paragraphs, f"{_kinds(op)}. Source: {op['source']}.", "")
    if op["parameters"]:
        yield from ("| parameter | type | range | default | |", "|---|---|---|---|---|")
        for one in op["parameters"]:
            default = "must be given" if one["required"] else _default(one["default"])
            yield f"| `{one['name']}` | {_cell(one['type'])} | {_cell(one['range'])} | {default} | {_cell(one['description'])} |"
        yield ""


def _default(value: Any) -> str:
    return "" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kinds(op: dict[str, Any]) -> str:
    return ", ".join([*(f"{one}-D" for one in op["dimensions"]), *(["colour"] if op["colour"] else [])])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")


def test_the_page_is_what_the_ops_say() -> None:
    assert PAGE.read_text() == page()


@pytest.mark.parametrize("name", op_names())
def test_every_op_says_what_it_does_and_where_it_comes_from(name: str) -> None:
    op = describe_op(name)
    assert name in OPS
    assert len(op["summary"]) > 20
    assert op["source"]
    assert set(op["dimensions"]) <= {2, 3}
    for one in op["parameters"]:
        assert one["description"], one["name"]
        assert one["range"] or not one["type"].startswith(("number", "integer")) or one["name"] in UNLIMITED, one["name"]


UNLIMITED = {"centre", "value", "threshold"}
"""Numbers in the units of the pixels, which may be any."""


def test_every_op_is_described() -> None:
    assert set(op_names()) == set(OPS)


if __name__ == "__main__":
    print(page(), end="")
