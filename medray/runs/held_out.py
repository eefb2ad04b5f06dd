"""The answers of a run's models for images that they were not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from medray.bundles.manifest import read_manifest
from medray.data import store
from medray.data.splits import OUT_OF_FOLD
from medray.errors import RunError
from medray.progress import Count, Progress, counting
from medray.runs.draft import Draft, Run
from medray.runs.executor import Executor
from medray.spec import fingerprint
from medray.tasks.decision import Decision
from medray.types import State
from medray.work.score import score_job
from medray.work.table import outcomes

KNOWN = ("uri", "patient_key", "target", "group", "split")
"""The columns of a sample that stand beside its answers."""


@dataclass(frozen=True)
class Scores:
    """Answers for the held-out images.

    Attributes:
        rows: uri, patient_key, target, group, split, and the answer's columns of each model, each name after the model's and a
            dot; sorted by URI.
    """

    rows: pa.Table

    def of(self, model: str, split: str) -> pa.Table:
        """The images of a split with the answer's columns of one model."""
        rows = self.rows.filter(pc.equal(self.rows["split"], split))
        own = self._own(model)
        return rows.select([*KNOWN, *own]).rename_columns([*KNOWN, *own.values()])

    def mapped(self, model: str, answers: Callable[[pa.Table], pa.Table]) -> Scores:
        """With other answers of one model: what ``answers`` makes of its columns."""
        own = self._own(model)
        new = answers(self.rows.select(list(own)).rename_columns(list(own.values())))
        rows = self.rows
        for name, bare in own.items():
            rows = rows.set_column(rows.column_names.index(name), name, new[bare])
        return Scores(rows)

    def _own(self, model: str) -> dict[str, str]:
        """A model's columns → their names without the model's."""
        return {name: name.removeprefix(f"{model}.") for name in self.rows.column_names if name.startswith(f"{model}.")}


def score_held_out(executor: Executor, run: Run, drafts: Mapping[str, Draft], progress: Progress | None) -> Scores:
    """Answers for every validation and test image, through the bundles themselves.

    Raises:
        RunError: RUN_NOT_SCORED.
    """
    written = {name: write_draft(run, name, draft) for name, draft in drafts.items()}
    held_out = run.samples.filter(pc.not_equal(run.samples["split"], "train"))
    return Scores(answers_for(executor, run, held_out, written, counting(progress, "evaluate")))


def write_draft(run: Run, name: str, draft: Draft) -> str:
    """The draft as a bundle in the folder of the run, without a decision; returns its URI."""
    return draft.write(store.join(run.uri, "drafts", name), Decision(), {})


def answers_for(
    executor: Executor, run: Run, samples: pa.Table, bundles: Mapping[str, str], on_done: Count | None = None
) -> pa.Table:
    """What bundles of the run say of some of its samples: the rows of a :class:`Scores`.

    Args:
        bundles: model → URI.

    Raises:
        RunError: RUN_NOT_SCORED.
    """
    samples = samples.sort_by("uri")
    scored_by = fingerprint({name: read_manifest(uri, own=True).fingerprint() for name, uri in bundles.items()})
    scores_uri = store.join(run.uri, f"scores-{scored_by}")
    job = score_job({f"{name}.": uri for name, uri in bundles.items()}, run.settings.task.masked, own=True)
    executor.process(samples, job, scores_uri, run.settings.actors, on_done)
    answers = [field.name for field in job.fields()]
    table = outcomes(samples, scores_uri, ["uri", "state", *answers])
    if table["uri"].to_pylist() != samples["uri"].to_pylist() or set(table["state"].to_pylist()) - {State.SCORED.value}:
        raise RunError("RUN_NOT_SCORED", "some held-out images could not be scored", "run again with --debug")
    rows = samples.select(KNOWN)
    for name in answers:
        rows = rows.append_column(name, table[name])
    return rows


def with_test(executor: Executor, run: Run, drafts: Mapping[str, Draft], answers: pa.Table, progress: Progress | None) -> Scores:
    """Answers out of fold (the columns of a :class:`Scores`), with those for test images, which are of what is published.

    Raises:
        RunError: RUN_NOT_SCORED.
    """
    place = answers.column_names.index("split")
    answers = answers.set_column(place, "split", pa.array([OUT_OF_FOLD] * len(answers), pa.string()))
    test = run.samples.filter(pc.equal(run.samples["split"], "test"))
    if not len(test):
        return Scores(answers)
    bundles = {model: write_draft(run, model, one) for model, one in drafts.items()}
    found = answers_for(executor, run, test, bundles, counting(progress, "evaluate"))
    return Scores(pa.concat_tables([answers, found.cast(answers.schema)]).sort_by("uri"))
