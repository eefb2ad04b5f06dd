"""``medray preview``: images after each preprocessing step."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from medray.cli.output import AsJson, finish, show

app = typer.Typer()


@app.command()
def preview(
    source: Annotated[str, typer.Argument(metavar="SRC", help="DICOM images: a file or a prefix", show_default=False)],
    spec: Annotated[str, typer.Option(help="YAML with `steps:`, a path or URI", show_default=False)],
    out: Annotated[str, typer.Option(help="picture to write: .png")] = "preview.png",
    images: Annotated[int, typer.Option(min=1, max=64, help="draw at most this many images, one row each")] = 4,
    frame: Annotated[int | None, typer.Option(min=0, help="frame of multi-frame images, counted from 0")] = None,
    volume: Annotated[bool, typer.Option("--volume", help="take everything under SRC as one volume")] = False,
    colour: Annotated[bool, typer.Option("--colour", help="keep the colours of images stored in colour")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw some images after each step of a preprocessing spec."""
    from medray.configuration import load_config
    from medray.imaging.preprocess import PreprocessSpec
    from medray.runs.preview import preview as run

    found = run(source, load_config(spec, PreprocessSpec), out, images, frame, volume=volume, colour=colour)
    show(asdict(found), as_json, "Preview")
    finish(sum(found.reasons.values()), found.reasons)
