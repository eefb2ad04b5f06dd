"""``medray split``."""

from __future__ import annotations

from typing import Annotated

import typer

from medray.cli.options import ConfigFile, Sets
from medray.cli.output import SPLIT_COLUMNS, AsJson, print_json, show_rows, show_warnings

app = typer.Typer()


@app.command()
def split(
    config: ConfigFile,
    sets: Sets = None,
    out: Annotated[str | None, typer.Option(help="table of splits to write: .csv or .parquet")] = None,
    as_json: AsJson = False,
) -> None:
    """Show how `medray train` divides the labelled images of a catalog, before anything is trained."""
    from medray.configuration import load_config
    from medray.runs.split import split as run
    from medray.runs.train_config import TrainConfig

    division = run(load_config(config, TrainConfig, sets or []), out)
    warnings = [caution.model_dump() for caution in division.warnings]
    if as_json:
        print_json({"out": out, "split": list(division.counts), "warnings": warnings})
    else:
        show_rows(division.counts, SPLIT_COLUMNS, "Split")
    show_warnings(warnings)
