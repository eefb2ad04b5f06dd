"""What a run found → the HTML report beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from medray.bundles.bundle import Bundle, as_image
from medray.data import store
from medray.data.labels import SPLITS
from medray.report.data import ModelResult, Reconciliation, ReportData, SampleImage, WorklistRow
from medray.report.html import render_report
from medray.runs.publish import TrainResult
from medray.runs.screen import ScreenResult
from medray.runs.summary import Summary
from medray.types import Float32

SHOWN_SAMPLES = 8
SHOWN_STUDIES = 50


def write_train_report(result: TrainResult, night: ScreenResult | None = None, uri: str | None = None) -> str:
    """Write ``report.html`` into the run's folder (or to ``uri``), with the worklist of a night where there is one."""
    y, inside, _ = result.scores.of(result.evaluated_on)
    models = tuple(ModelResult(name, y, result.scores.probability[name][inside], result.metrics[name]) for name in result.bundles)
    bundle = result.bundles[result.best]
    manifest = bundle.manifest
    page = ReportData(
        title=f"{manifest.name.removesuffix('-' + result.best)}: {manifest.target}",
        date=_now(),
        facts=_facts(result, bundle),
        models=models,
        split="test" if result.evaluated_on == "test" else "validation",
        selected=result.best,
        positive=manifest.target if manifest.positive == "1" else manifest.positive,
        threshold_reason=manifest.threshold.reason,
        samples=_samples(result),
        worklist=_worklist(night) if night else (),
        worklist_total=len(night.worklist) if night else None,
        reconciliation=_reconciliation(night.summary if night else result.summary),
        provenance=_provenance(result.bundles.values()),
    )
    target = uri or store.join(result.run_uri, "report.html")
    store.write(target, render_report(page).encode())
    return target


def write_screen_report(night: ScreenResult) -> str:
    """Write ``worklist.html`` into the night's folder."""
    page = ReportData(
        title="Screening worklist",
        date=_now(),
        facts={"night": night.night_uri, "bundle": night.bundle_uri, "studies": str(len(night.worklist))},
        worklist=_worklist(night),
        worklist_total=len(night.worklist),
        reconciliation=_reconciliation(night.summary),
    )
    target = store.join(night.night_uri, "worklist.html")
    store.write(target, render_report(page).encode())
    return target


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _facts(result: TrainResult, bundle: Bundle) -> dict[str, str]:
    counts = bundle.manifest.provenance["images"]
    return {
        "bundle": bundle.uri,
        "fingerprint": bundle.fingerprint,
        "catalog": f"{bundle.manifest.provenance['catalog']} (version {bundle.manifest.provenance['catalog_version']})",
        "images": ", ".join(f"{counts[split]} {split}" for split in SPLITS if counts[split]),
        "figures from": f"the {result.evaluated_on} split"
        + ("" if result.evaluated_on == "test" else ", which also chose the threshold"),
        "run": result.run_uri,
    }


def _provenance(bundles: Any) -> dict[str, Any]:
    return {bundle.manifest.name: bundle.manifest.model_dump(mode="json", exclude={"metrics", "files"}) for bundle in bundles}


def _worklist(night: ScreenResult) -> tuple[WorklistRow, ...]:
    rows = night.worklist.slice(0, SHOWN_STUDIES).to_pylist()
    return tuple(WorklistRow(_short(row), row["probability"], row["images"], row["positive"]) for row in rows)


def _short(row: dict[str, Any]) -> str:
    """A study by its pseudonym and the end of its UID."""
    return f"{row['patient_key'] or 'unknown'} · …{row['study_uid'][-8:]}"


def _reconciliation(summary: Summary) -> Reconciliation:
    return Reconciliation(**summary.counts(), reasons=summary.reasons)


def _samples(result: TrainResult) -> tuple[SampleImage, ...]:
    """Images from the most to the least suspicious, with Grad-CAM where a model has one."""
    explainer = next((bundle for bundle in result.bundles.values() if hasattr(bundle.model, "saliency")), None)
    name = next((key for key, bundle in result.bundles.items() if bundle is explainer), result.best)
    bundle = explainer or result.bundles[result.best]
    _, inside, _ = result.scores.of(result.evaluated_on)
    rows = result.scores.rows.filter(pa.array(inside))
    probability = result.scores.probability[name][inside]
    chosen = _spread(probability, SHOWN_SAMPLES)
    return tuple(_sample(bundle, rows.slice(int(at), 1).to_pylist()[0], float(probability[at])) for at in chosen)


def _spread(probability: Any, count: int) -> Sequence[int]:
    """Positions of ``count`` cases spread evenly over the ranks, highest probability first."""
    order = np.argsort(-probability, kind="stable")
    return [int(order[at]) for at in np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))]


def _sample(bundle: Bundle, row: dict[str, Any], probability: float) -> SampleImage:
    image = as_image(row["uri"])
    pixels = bundle.manifest.input.apply(image) if bundle.manifest.input.kind == "image" else _display(image.pixels)
    saliency = bundle.model.saliency(pixels) if hasattr(bundle.model, "saliency") else None
    label = bundle.manifest.target if row["y"] else f"not {bundle.manifest.target}"
    return SampleImage(np.clip(pixels, 0, 1), probability, label, saliency, row["patient_key"])


def _display(pixels: Float32) -> Float32:
    """Scaled to [0, 1] between its 1st and 99th percentile."""
    low, high = np.percentile(pixels, (1, 99))
    return np.asarray(np.clip((pixels - low) / max(high - low, 1e-6), 0, 1), dtype=np.float32)
