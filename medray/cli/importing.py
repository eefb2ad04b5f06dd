"""``medray import``: images that are not DICOM."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from medray.cli.console import reporting
from medray.cli.options import PseudonymKeyFile
from medray.cli.output import AsJson, finish, show
from medray.errors import ConfigError

app = typer.Typer()


@app.command(name="import")
def import_(
    source: Annotated[
        str,
        typer.Argument(metavar="SRC", help="PNG, JPEG, TIFF, BMP, NumPy, NIfTI, NRRD, MHA: a prefix or file", show_default=False),
    ],
    out: Annotated[str, typer.Option(help="where images/, labels.csv and masks/ go: a path or URI", show_default=False)],
    labels: Annotated[
        str | None, typer.Option(help="label table (CSV or Parquet) that names files by path, name or stem")
    ] = None,
    key: Annotated[str | None, typer.Option(help="its column that names files; default: the one that fits")] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="column of the label table that labels.csv has too; may be given several times"),
    ] = None,
    masks: Annotated[
        str | None, typer.Option(help="masks: a folder, a pattern as '*_mask*.png', or a column of the label table")
    ] = None,
    modality: Annotated[str, typer.Option(help="Modality of every image, for example US")] = "OT",
    spacing: Annotated[
        str | None,
        typer.Option(help="mm between pixels where files say none: one number, ROW,COLUMN or, of volumes, SLICE,ROW,COLUMN"),
    ] = None,
    units: Annotated[str, typer.Option(help="units of the values, for example HU")] = "",
    round_floats: Annotated[
        bool, typer.Option("--round-floats", help="store fractions that 16 bits do not hold in 65,535 steps")
    ] = False,
    pseudonym_key_file: PseudonymKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Convert other images to DICOM, with their labels and masks; the same command again adds what is new."""
    from medray.cataloguing.importing.run import import_images, import_spec

    if keep and not labels:
        raise typer.BadParameter("it names columns of a label table: give --labels as well", param_hint="--keep")
    raw = {"modality": modality, "spacing_mm": _spacing(spacing), "units": units, "rounded": round_floats}
    spec = import_spec(raw)
    with reporting() as reporter:
        summary = import_images(source, out, spec, labels, key, masks, reporter.progress, keep or (), pseudonym_key_file)
    show({"images_at": f"{out.rstrip('/')}/images", **asdict(summary)}, as_json, "Import")
    if summary.without_patient:
        text = (
            f"medray: of {summary.without_patient} images no PatientID is known: each counts as a patient of its own in a split"
        )
        print(text, file=sys.stderr)
    finish(summary.attention, summary.codes, f"{out.rstrip('/')}/import says which")


def _spacing(text: str | None) -> list[float | None] | None:
    """mm between (slices, rows, columns); one number is that of rows and columns, and says nothing of slices."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2, 3):
        raise ConfigError("IMPORT_SPACING", f"--spacing {text} is not a spacing", "give 0.1, 0.1,0.2 or 2,0.1,0.2 in mm")
    plane = numbers * 2 if len(numbers) == 1 else numbers
    return [*[None] * (3 - len(plane)), *plane]
