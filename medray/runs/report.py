"""What a run found → the HTML report beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from medray.bundles.bundle import Bundle
from medray.bundles.inputs import as_image
from medray.bundles.scorer import Scorer
from medray.data import store
from medray.data.splits import IN_WORDS, SPLITS
from medray.imaging.op import luminance
from medray.models.abilities import SaliencyModel
from medray.report.data import ModelRow, Reconciliation, ReportData, ReportPart, SampleImage, WorklistRow
from medray.report.html import render_report
from medray.runs.publish import TrainResult
from medray.runs.screen import ScreenResult
from medray.runs.summary import Summary
from medray.tasks.task import Task
from medray.types import Float32, Float64

SHOWN_SAMPLES = 8
SHOWN_STUDIES = 50
_SALIENCY_NOTE = "Answers by {model}; in colour the regions that speak for the answer"
_OUTLINE_NOTE = "The outline by the model in orange, the true one in blue"


def write_train_report(
    result: TrainResult, night: ScreenResult | None = None, uri: str | None = None, others: Sequence[TrainResult] = ()
) -> str:
    """Write ``report.html`` into the run's folder (or to ``uri``).

    Args:
        night: whose worklist is shown as well.
        others: further runs on the same archive, each in a part of its own.
    """
    target = uri or store.join(result.run_uri, "report.html")
    store.write(target, render_report(train_report(result, night, others)).encode())
    return target


def train_report(result: TrainResult, night: ScreenResult | None = None, others: Sequence[TrainResult] = ()) -> ReportData:
    """What the report of a training run shows; ``others`` are further runs on the same archive."""
    manifest = result.bundles[result.best].manifest
    runs = (result, *others)
    return ReportData(
        title=f"{manifest.name.removesuffix('-' + result.best)}: {result.task.title}",
        date=_now(),
        facts=_facts(result, result.bundles[result.best]),
        parts=tuple(_part(run, run.task.title if others else "") for run in runs),
        worklist=_worklist(night) if night else (),
        worklist_total=len(night.worklist) if night else None,
        reconciliation=_reconciliation(night.summary if night else result.summary),
        provenance=_provenance([bundle for run in runs for bundle in run.bundles.values()]),
    )


def _part(result: TrainResult, heading: str) -> ReportPart:
    task, split = result.task, IN_WORDS[result.evaluated_on]
    return ReportPart(
        page=task.page(list(result.judged.values()), result.best, split),
        heading=heading,
        models=tuple(ModelRow(name, tuple(task.cells(found.figures))) for name, found in result.judged.items()),
        split=split,
        selected=result.best,
        samples=_samples(result),
        warnings=tuple(map(str, result.warnings)),
    )


def write_screen_report(night: ScreenResult) -> str:
    """Write ``worklist.html`` into the night's folder."""
    page = ReportData(
        title="Screening worklist",
        date=_now(),
        facts={
            "night": night.night_uri,
            "bundle": night.bundle_uri,
            "chosen": night.chosen.why,
            "studies": str(len(night.worklist)),
            **_gone(night),
        },
        worklist=_worklist(night),
        worklist_total=len(night.worklist),
        reconciliation=_reconciliation(night.summary),
    )
    target = store.join(night.night_uri, "worklist.html")
    store.write(target, render_report(page).encode())
    return target


def _gone(night: ScreenResult) -> dict[str, str]:
    """What the page says of objects that are gone, where there are any."""
    counts = f"{night.gone} of {night.summary.inputs} objects (OBJECT_GONE), deleted or replaced after the night was listed"
    return {"not in this worklist": counts} if night.gone else {}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _facts(result: TrainResult, bundle: Scorer) -> dict[str, str]:
    counts = bundle.manifest.provenance["images"]
    return {
        "bundle": bundle.uri,
        "fingerprint": bundle.fingerprint,
        "catalog": f"{bundle.manifest.provenance['catalog']} (version {bundle.manifest.provenance['catalog_version']})",
        "images": ", ".join(f"{counts[split]} {split}" for split in SPLITS if counts[split]),
        "figures from": f"the {IN_WORDS[result.evaluated_on]} images"
        + ("" if result.evaluated_on == "test" or not result.task.decides else ", which also chose the threshold"),
        "run": result.run_uri,
    }


def _provenance(bundles: Iterable[Scorer]) -> dict[str, Any]:
    return {bundle.manifest.name: bundle.manifest.model_dump(mode="json", exclude={"metrics", "files"}) for bundle in bundles}


def _worklist(night: ScreenResult) -> tuple[WorklistRow, ...]:
    urgency = night.task.urgency(night.worklist)
    shown = zip(night.worklist.slice(0, SHOWN_STUDIES).to_pylist(), _shares(urgency), strict=False)
    return tuple(_worklist_row(night.task, row, float(share)) for row, share in shown)


def _shares(urgency: Float64) -> Float64:
    """Lengths of bars, float64 (n,) in [0, 1]: probabilities as they are, other numbers between the least and the most."""
    low, high = (float(found) for found in (np.nanmin(urgency, initial=0.0), np.nanmax(urgency, initial=0.0)))
    return (urgency - low) / (high - low if high > 1 or low < 0 else 1.0)


def _worklist_row(task: Task, row: Mapping[str, Any], share: float) -> WorklistRow:
    answer, _ = task.caption(row)
    return WorklistRow(_short(row), answer, min(max(share, 0.0), 1.0), row["images"], task.urgent(row))


def _short(row: Mapping[str, Any]) -> str:
    """A study by its pseudonym and the end of its UID."""
    return f"{row['patient_key'] or 'unknown'} · …{row['study_uid'][-8:]}"


def _reconciliation(summary: Summary) -> Reconciliation:
    return Reconciliation(**summary.counts(), reasons=summary.reasons)


def _samples(result: TrainResult) -> tuple[SampleImage, ...]:
    """Images from the most to the least urgent, with Grad-CAM where a model has one: the best one, or the first that has."""
    name = next((key for key in (result.best, *result.bundles) if _explains(result.bundles[key])), result.best)
    bundle, rows = result.bundles[name], result.judged[name].rows
    chosen = _spread(result.task.urgency(rows), SHOWN_SAMPLES)
    return tuple(_sample(name, bundle, rows.slice(at, 1).to_pylist()[0]) for at in chosen)


def _explains(bundle: Scorer) -> bool:
    return isinstance(bundle, Bundle) and isinstance(bundle.model, SaliencyModel)


def _spread(urgency: Float64, count: int) -> Sequence[int]:
    """Positions of ``count`` cases spread evenly over the ranks, most urgent first."""
    order = np.argsort(-urgency, kind="stable")
    return [int(order[at]) for at in np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))]


def _sample(name: str, bundle: Scorer, row: Mapping[str, Any]) -> SampleImage:
    answer, label = bundle.manifest.task.caption(row)
    pixels = _display(as_image(row["uri"]).pixels)
    outlines = bundle.manifest.task.outlined(row)
    if outlines:
        return SampleImage(pixels, answer, label, None, _OUTLINE_NOTE, row["patient_key"], outlines)
    if isinstance(bundle, Bundle) and isinstance(bundle.model, SaliencyModel):
        prepared = bundle.input.prepared(as_image(row["uri"], colour=bundle.colour))
        seen = luminance(prepared).pixels
        saliency = bundle.model.saliency(bundle.input.values(prepared))
        return SampleImage(np.clip(seen, 0, 1), answer, label, saliency, _SALIENCY_NOTE.format(model=name), row["patient_key"])
    return SampleImage(pixels, answer, label, caption=row["patient_key"])


def _display(pixels: Float32) -> Float32:
    """Scaled to [0, 1] between its 1st and 99th percentile."""
    low, high = np.percentile(pixels, (1, 99))
    return np.asarray(np.clip((pixels - low) / max(high - low, 1e-6), 0, 1), dtype=np.float32)
