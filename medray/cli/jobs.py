"""Commands that run a job: from ingest to demo."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from medray.cli.console import reporting
from medray.cli.options import (
    Address,
    AllowOpen,
    BundleUri,
    ConfigFile,
    ConfigOption,
    Executor,
    Keep,
    PseudonymKeyFile,
    Sets,
    Work,
    cluster_of,
    overrides,
)
from medray.cli.output import SPLIT_COLUMNS, AsJson, finish, show, show_models, show_rows, show_warnings
from medray.extras import require

if TYPE_CHECKING:
    from medray.runs.publish import TrainResult

app = typer.Typer()


@app.command()
def ingest(
    sources: Annotated[
        list[str], typer.Argument(metavar="SRC...", help="archives: prefixes of DICOM objects and shards", show_default=False)
    ],
    catalog: Annotated[str, typer.Option(help="where the catalog is or will be", show_default=False)],
    labels: Annotated[str | None, typer.Option(help="label table: CSV or Parquet")] = None,
    keep: Keep = None,
    pseudonym_key_file: PseudonymKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Bring a catalog up to date with archives."""
    from medray.cataloguing.ingest import ingest as run

    if keep and not labels:
        raise typer.BadParameter("it names columns of a label table: give --labels as well", param_hint="--keep")
    with reporting() as reporter:
        summary = run(sources, catalog, labels, reporter.progress, keep or (), pseudonym_key_file)
    show(asdict(summary), as_json, "Ingest")
    finish(summary.quarantined + summary.failed, summary.reasons)


@app.command()
def extract(config: ConfigOption, sets: Sets = None, executor: Executor | None = None, as_json: AsJson = False) -> None:
    """Measure the features of a catalog's images, in a table that later runs bring up to date."""
    from medray.configuration import load_config
    from medray.runs.extract import ExtractConfig
    from medray.runs.extract import extract as run

    settings = load_config(config, ExtractConfig, overrides(sets, executor))
    if settings.embeddings:
        require("models", "an embedding")
    with reporting() as reporter:
        result = run(settings, reporter.progress)
    answer = {"table": result.table_uri, "fingerprint": result.fingerprint, "features": result.features}
    show({**answer, **asdict(result.summary)}, as_json, "Extract")
    finish(result.summary.attention, result.summary.reasons)


def _show_trained(result: TrainResult, report: str, as_json: bool) -> None:
    """What train and ensemble print at their end."""
    from medray.runs.publish import as_json as plain
    from medray.runs.publish import cells_of

    answer = {**plain(result), "champion": result.standing and asdict(result.standing), "report": report}
    if as_json:
        show(answer, True, "")
    else:
        show_rows(answer["split"], SPLIT_COLUMNS, "Split")
        show_models(cells_of(result), answer)
    show_warnings(answer["warnings"])
    finish(result.summary.attention, result.summary.reasons)


@app.command()
def train(config: ConfigFile, sets: Sets = None, executor: Executor | None = None, as_json: AsJson = False) -> None:
    """Train the models of a configuration, evaluate them and publish the best as a bundle."""
    require("models", "medray train")

    from medray.configuration import load_config
    from medray.runs.report import write_train_report
    from medray.runs.train import train as run
    from medray.runs.train_config import TrainConfig

    settings = load_config(config, TrainConfig, overrides(sets, executor))
    with reporting() as reporter:
        result = run(settings, reporter.progress, reporter.step)
        report = write_train_report(result)
    _show_trained(result, report, as_json)


@app.command()
def ensemble(config: ConfigOption, sets: Sets = None, executor: Executor | None = None, as_json: AsJson = False) -> None:
    """Combine published bundles of one task in a bundle of its own."""
    require("models", "medray ensemble")

    from medray.configuration import load_config
    from medray.runs.ensemble import EnsembleConfig
    from medray.runs.ensemble import ensemble as run
    from medray.runs.report import write_train_report

    settings = load_config(config, EnsembleConfig, overrides(sets, executor))
    with reporting() as reporter:
        result = run(settings, reporter.progress)
        report = write_train_report(result)
    _show_trained(result, report, as_json)


@app.command()
def tune(
    config: ConfigOption,
    sets: Sets = None,
    model: Annotated[list[str] | None, typer.Option(help="sweep only this model; may be given several times")] = None,
    as_json: AsJson = False,
) -> None:
    """Sweep the parameters of the models (or of --model NAME alone) over each family's search space."""
    require("models", "medray tune")

    from medray.configuration import load_config
    from medray.runs.train_config import TrainConfig
    from medray.runs.tune import tune as run

    settings = load_config(config, TrainConfig, sets or [])
    with reporting() as reporter:
        found = run(settings, model or [], reporter.progress)
    best = {
        name: {f"valid_{settings.task.monitor.figure}": trials[0].value, "params": trials[0].params, "trials": len(trials)}
        for name, trials in found.items()
    }
    show(best, as_json, "Best parameters")


@app.command()
def evaluate(
    bundle: BundleUri,
    src: Annotated[str, typer.Option(help="archive of labelled images", show_default=False)],
    labels: Annotated[str, typer.Option(help="label table: CSV or Parquet", show_default=False)],
    work: Work = None,
    executor: Executor = "auto",
    address: Address = None,
    allow_open: AllowOpen = False,
    pseudonym_key_file: PseudonymKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Score labelled images with a bundle and report its figures of merit."""
    require("models", "medray evaluate")

    from medray.runs.evaluate import evaluate_source

    with reporting() as reporter:
        cluster = cluster_of(executor, address, allow_open)
        result = evaluate_source(bundle, src, labels, cluster, work, reporter.progress, pseudonym_key_file)
    warnings = [caution.model_dump() for caution in result.warnings]
    answer = {**result.figures.model_dump(mode="json"), "unlabelled": result.unlabelled, **asdict(result.summary)}
    show({**answer, "warnings": warnings} if as_json else answer, as_json, f"Evaluation of {result.manifest.name}")
    show_warnings(warnings)
    finish(result.summary.attention, result.summary.reasons)


@app.command()
def predict(
    bundle: BundleUri,
    source: Annotated[str, typer.Argument(help="images to score: a prefix or one object", show_default=False)],
    out: Annotated[str, typer.Option(help="table to write: .parquet or .csv", show_default=False)],
    work: Work = None,
    executor: Executor = "auto",
    address: Address = None,
    allow_open: AllowOpen = False,
    pseudonym_key_file: PseudonymKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Score images with a bundle and write one row for each."""
    require("models", "medray predict")

    from medray.runs.predict import predict_source

    with reporting() as reporter:
        cluster = cluster_of(executor, address, allow_open)
        summary = predict_source(bundle, source, out, cluster, work, reporter.progress, pseudonym_key_file)
    show({"out": out, **asdict(summary)}, as_json, "Predict")
    finish(summary.attention, summary.reasons)


@app.command()
def screen(
    config: ConfigOption,
    sets: Sets = None,
    executor: Executor | None = None,
    pseudonym_key_file: PseudonymKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Screen one night's archive and write the worklist."""
    require("models", "medray screen")

    from medray.configuration import load_config
    from medray.runs.report import write_screen_report
    from medray.runs.screen import ScreenConfig
    from medray.runs.screen import screen as run

    settings = load_config(config, ScreenConfig, overrides(sets, executor))
    with reporting() as reporter:
        result = run(settings, reporter.progress, pseudonym_key_file)
        report = write_screen_report(result)
    answer = {"night": result.night_uri, **asdict(result.chosen), "studies": len(result.worklist), "report": report}
    show({**answer, **asdict(result.summary), "gone": result.gone}, as_json, "Screening")
    finish(result.summary.attention, result.summary.reasons)


@app.command()
def synthesise(
    folder: Annotated[str, typer.Argument(help="where images/, masks/ and labels.csv go: a path or URI", show_default=False)],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="a setting of the archive: patients=1000, rows=512, seed=1, …")
    ] = None,
    executor: Executor = "auto",
    address: Address = None,
    allow_open: AllowOpen = False,
    as_json: AsJson = False,
) -> None:
    """Write a synthetic archive of phantoms with labels and outlined lesions: to try medray or to load it."""
    from medray.runs.synthesise import synthesise as run

    with reporting() as reporter:
        count = run(folder, sets or [], cluster_of(executor, address, allow_open), reporter.progress)
    show({"folder": folder, "images": count}, as_json, "Synthetic archive")


@app.command()
def demo(
    folder: Annotated[str, typer.Option(help="folder to work in")] = "medray-demo",
    seed: Annotated[int, typer.Option(help="seed of the phantoms and the fits")] = 0,
    executor: Executor = "auto",
    as_json: AsJson = False,
) -> None:
    """Run the whole loop on a synthetic archive: ingest, train, evaluate, publish, screen a night, report."""
    require("models", "medray demo")

    from medray.runs.demo import demo as run
    from medray.runs.publish import cells_of

    with reporting() as reporter:
        result = run(folder, seed, reporter.progress, reporter.step, cluster_of(executor))
    answer = result.as_json()
    if as_json:
        show(answer, True, "")
    else:
        show_models(cells_of(result.train), answer["train"])
        show_models(cells_of(result.outline), answer["outline"])
        show(answer["night"], False, "Night")
        print(f"report: {result.report}")
    for part in ("train", "outline"):
        show_warnings(answer[part]["warnings"])
