"""Two bundles of one question on the same images: which of them, and by how much one is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray.bundles.manifest import read_manifest
from medray.bundles.registry_table import Entry
from medray.data import store
from medray.data.key_record import made_with
from medray.data.splits import IN_WORDS, OUT_OF_FOLD
from medray.errors import RunError
from medray.evaluation.intervals import Interval
from medray.progress import Progress, counting
from medray.runs.draft import Run
from medray.runs.executor import Executor
from medray.runs.folded_answers import answers_out_of_fold
from medray.runs.learnt import Learnt, learnt_by
from medray.runs.publish import TrainResult
from medray.tasks.task import Task
from medray.tasks.text import quantity
from medray.types import State
from medray.work.score import score_job
from medray.work.table import outcomes

FEWEST_OF_EACH = 5
"""Patients of each stratum (class, …) without which an interval means little."""


@dataclass(frozen=True)
class Comparison:
    """A new bundle against the champion.

    Attributes:
        problem: why they could not be compared; "" where they were.
        text, figures: what was found, in words and as plain values.
        gain: of the new one, see :meth:`medray.tasks.task.Task.gain`.
    """

    problem: str = ""
    text: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    gain: Interval | None = None


def compare(
    executor: Executor, run: Run, result: TrainResult, rival: Entry, patients: int, progress: Progress | None = None
) -> Comparison:
    """The best model of a run against the champion, on the run's images to judge by.

    Patients that one of the two has learnt from are left out, but for images that it answered for out of fold; and images that
    the champion does not answer.

    Args:
        patients: fewest of them that a comparison may rest on.

    Raises:
        RunError: RUN_INPUTS_FAILED.
    """
    new = result.scores.of(result.best, result.evaluated_on)
    own = [] if result.evaluated_on == OUT_OF_FOLD else [result.bundles[result.best].uri]
    known = [learnt_by(uri, run.output) for uri in (*own, rival.bundle)]
    learnt = [one for one in known if one is not None]
    if len(learnt) < len(known):
        return Comparison("the samples of a run are gone, so it is not known which patients were learnt from")
    if any(one.renames(new, made_with(run.samples.schema)) for one in learnt):
        return Comparison("patients have other names in the champion's run (another pseudonym key, or other labels)")
    kept = _kept(run.settings.task, rival)
    fair = new.filter(_unseen(new, learnt, kept))
    counts = {"left_out_patients": _patients(new) - _patients(fair)}
    if problem := too_few(run.settings.task, fair, patients):
        return Comparison(f"{problem}{_left_out(counts)}", figures=counts)
    old = _answers(executor, run, fair, rival, kept, progress)
    both = fair.filter(pc.is_in(fair["uri"], value_set=old["uri"].combine_chunks()))
    counts["unanswered_images"] = len(fair) - len(both)
    if problem := too_few(run.settings.task, both, patients):
        return Comparison(f"{problem}{_left_out(counts)}", figures=counts)
    return _compared(run, result, rival, both, old, counts)


def _unseen(rows: pa.Table, learnt: Sequence[Learnt], kept: pa.Table | None) -> pa.ChunkedArray:
    """Which images (uri, group) no model has learnt from; the last one answered out of fold for those in ``kept``."""
    seen = [pc.is_in(rows["group"], value_set=one.patients) for one in learnt]
    if kept is not None:
        seen[-1] = pc.and_(seen[-1], pc.invert(pc.is_in(rows["uri"], value_set=kept["uri"].combine_chunks())))
    return pc.invert(reduce(pc.or_, seen))


def too_few(task: Task, rows: pa.Table, patients: int) -> str:
    """Why images (target, group) do not suffice to compare models on; "" where they do."""
    if (found := _patients(rows)) < patients:
        return f"{found} patients to compare on, {patients} are needed"
    strata, groups = task.strata(rows["target"]), np.asarray(rows["group"].to_pylist())
    of_each = [len(np.unique(groups[strata == one])) for one in np.unique(strata)]
    if min(of_each) < FEWEST_OF_EACH:
        return f"{min(of_each)} patients of one kind to compare on, {FEWEST_OF_EACH} of each are needed"
    return ""


def _patients(rows: pa.Table) -> int:
    return int(pc.count_distinct(rows["group"]).as_py())


def _left_out(counts: Mapping[str, int]) -> str:
    """What was left out, in words."""
    patients, images = counts["left_out_patients"], counts.get("unanswered_images", 0)
    learnt = f"; left out: {patients} patients that one of the models has learnt from" if patients else ""
    return f"{learnt}{f'; {images} images that the champion does not answer' if images else ''}"


def _answers(
    executor: Executor, run: Run, rows: pa.Table, rival: Entry, kept: pa.Table | None, progress: Progress | None
) -> pa.Table:
    """The rows (uri, target, group) that the champion answers, sorted by URI, with its answers: those kept, and new ones."""
    known = kept["uri"].combine_chunks() if kept is not None else pa.array([], pa.string())
    images = run.samples.filter(pc.is_in(run.samples["uri"], value_set=rows["uri"].combine_chunks())).sort_by("uri")
    asked = images.filter(pc.invert(pc.is_in(images["uri"], value_set=known)))
    found = _scored(executor, run, asked, rival, progress)
    if kept is not None:
        own = kept.filter(pc.is_in(kept["uri"], value_set=images["uri"].combine_chunks()))
        found = pa.concat_tables([found, own.select(found.column_names).cast(found.schema)])
    found = found.sort_by("uri")
    at = pc.index_in(found["uri"], value_set=rows["uri"].combine_chunks())
    return pa.table(
        {
            **{name: rows[name].take(at) for name in ("target", "group")},
            **dict(zip(found.column_names, found.columns, strict=True)),
        }
    )


def _kept(task: Task, rival: Entry) -> pa.Table | None:
    """What the champion's folds said of images that they had not seen, calibrated as it is."""
    found = answers_out_of_fold(rival.bundle, rival.run, rival.model)
    calibration = read_manifest(rival.bundle, rival.fingerprint).decision.calibration
    return task.recalibrated(found, calibration) if found is not None and calibration else found


def _scored(executor: Executor, run: Run, images: pa.Table, rival: Entry, progress: Progress | None) -> pa.Table:
    """``uri`` and the answer's columns of the images that the champion answers."""
    job = score_job({"": rival.bundle}, run.settings.task.masked, fingerprints={rival.bundle: rival.fingerprint})
    columns = ["uri", *(field.name for field in job.fields())]
    if not len(images):
        return pa.schema([pa.field("uri", pa.string()), *job.fields()]).empty_table()
    table_uri = store.join(run.uri, f"rival-{rival.fingerprint}")
    executor.process(images, job, table_uri, run.settings.actors, counting(progress, "score the champion"))
    table = outcomes(images, table_uri, ["state", *columns])
    if failed := table["state"].to_pylist().count(State.FAILED.value):
        message = f"{failed} of {len(images)} images could not be fetched to compare with the champion"
        raise RunError("RUN_INPUTS_FAILED", message, "run again; done work is kept")
    return table.filter(pc.equal(table["state"], State.SCORED.value)).select(columns)


def _compared(run: Run, result: TrainResult, rival: Entry, new: pa.Table, old: pa.Table, counts: Mapping[str, int]) -> Comparison:
    task, seed = run.settings.task, run.settings.seed
    gain = task.gain(new, old, seed)
    decisions = result.bundles[result.best].manifest.decision, read_manifest(rival.bundle, rival.fingerprint).decision
    values = [task.evaluate(rows, how, seed).monitor.value for rows, how in zip((new, old), decisions, strict=True)]
    size = {"split": result.evaluated_on, "images": len(new), "patients": _patients(new), **counts}
    figure = {"figure": task.monitor.figure, "value": values[0], "champion_value": values[1], "gain": gain.model_dump()}
    chosen = "" if result.evaluated_on == "test" else ", by which the new one was chosen,"
    where = f"{IN_WORDS[result.evaluated_on]} images{chosen}"
    said = f"{task.monitor.figure} {quantity(values[0])} against {quantity(values[1])} of the champion"
    text = f"{said} on {len(new)} {where} of {_patients(new)} patients, a gain of {_signed(gain)}{_left_out(counts)}"
    return Comparison("", text, {**figure, **size}, gain)


def _signed(gain: Interval) -> str:
    low, high = ("undefined" if bound is None else f"{bound:+.3g}" for bound in (gain.low, gain.high))
    return "undefined size" if gain.value is None else f"{gain.value:+.3g} [{low} to {high}]"
