"""Models fitted in folds: each once a fold, without the patients of that fold, and judged by what it says of them.

So every image that is learnt from has an answer of a model that has not seen its patient. How to decide is chosen on these
answers, and what is published is the mean of the fitted models, or one model that is fitted to all of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medray.bundles.combiner import Combiner
from medray.data import store, tables
from medray.data.folds import FOLD
from medray.data.splits import divide
from medray.errors import LabelError
from medray.models.abilities import Watching
from medray.models.table import family_of
from medray.progress import Progress, counting
from medray.runs.draft import Draft, Run, combined
from medray.runs.executor import Executor
from medray.runs.fits import fit_all
from medray.runs.fitting import draft, fit_job
from medray.runs.folded_answers import REPEAT, keep_answers, mean_of_repeats
from medray.runs.held_out import Scores, answers_for, with_test, write_draft
from medray.runs.samples import sample_columns
from medray.runs.train_config import TrainConfig
from medray.tasks.task import Task
from medray.types import Bool, Int64
from medray.work.context import OnStep
from medray.work.fit import FitJob

ALL = "all"
"""Name of the fit to all images."""


@dataclass(frozen=True)
class Fold:
    """One division of a run's samples.

    Attributes:
        repeat, number: from 0 on.
        held: bool (n,), which of the samples the fit does not see, and answers for.
    """

    repeat: int
    number: int
    held: Bool

    @property
    def name(self) -> str:
        """As part of the names of fits and files."""
        return f"fold-{self.number + 1}" if not self.repeat else f"repeat-{self.repeat + 1}-fold-{self.number + 1}"


def folds_of(config: TrainConfig, samples: pa.Table) -> list[Fold]:
    """The folds of a run's samples, each of whole patients: as the labels give them, else drawn.

    Raises:
        LabelError: LABELS_BAD_FOLD, the labels give other folds than the configuration asks for; LABELS_TOO_FEW, there are fewer
            patients than folds, or too little is left to learn from.
    """
    learnt = np.asarray(pc.equal(samples["split"], "train"))
    rows = samples.filter(pa.array(learnt))
    if (patients := len(pc.unique(rows["group"]))) < config.folds:
        message = f"{patients} patients do not make {config.folds} folds"
        raise LabelError("LABELS_TOO_FEW", message, "ask for fewer folds, or label more patients")
    folds = []
    for repeat in range(config.repeats):
        numbers = np.full(len(samples), -1)
        numbers[learnt] = _numbers(config, rows, repeat)
        folds += [Fold(repeat, number, numbers == number) for number in range(config.folds)]
    for fold in folds:
        _require(config.task, samples, learnt & ~fold.held, fold)
    return folds


def _numbers(config: TrainConfig, rows: pa.Table, repeat: int) -> Int64:
    """The fold of each row."""
    if FOLD not in rows.column_names or rows[FOLD].null_count:
        shares = [1 / config.folds] * config.folds
        return divide(rows, config.task.strata(rows["target"]), shares, f"{config.labels.split.seed}:folds:{repeat}")
    if (given := len(pc.unique(rows[FOLD]))) != config.folds or config.repeats > 1:
        message = f"the labels give {given} folds, the configuration asks for {config.repeats} times {config.folds}"
        raise LabelError("LABELS_BAD_FOLD", message, f"set folds to {given} and repeats to 1, or leave the column fold out")
    return np.asarray(rows[FOLD].to_numpy(), dtype=np.int64)


def _require(task: Task, samples: pa.Table, learnt: Bool, fold: Fold) -> None:
    try:
        task.require(samples["target"].filter(pa.array(learnt)), "train")
    except LabelError as error:
        message = f"what is left to learn from without {fold.name}: {error.message}"
        raise LabelError(error.code, message, "ask for fewer folds, or label more patients") from error


def fit_folds(
    executor: Executor, run: Run, config: TrainConfig, progress: Progress | None, on_step: OnStep | None
) -> tuple[dict[str, Draft], Scores]:
    """Fit every model in every fold; returns what is to be published, and the answers out of fold and for test images.

    Raises:
        LabelError: as :func:`folds_of`; what fits raise; RunError: RUN_NOT_SCORED.
    """
    folds = folds_of(config, run.samples)
    jobs = {(model, fold.name): _job(run, config, model, fold) for fold in folds for model in config.models}
    final = {model: _final_job(run, config, model) for model in config.models if config.publish == "refit"}
    scaled = [(job, config.models[model].scaling) for (model, _), job in jobs.items()]
    scaled += [(job, config.models[model].scaling) for model, job in final.items()]
    fit_all(executor, scaled, len(run.samples), on_step)
    written = {key: write_draft(run, job.model, draft(run, config, key[0], job)) for key, job in jobs.items()}
    answers = pa.concat_tables([_answers(executor, run, config, fold, written, progress) for fold in folds])
    keep_answers(run.uri, answers)
    drafts = {}
    for model in config.models:
        members = [written[model, fold.name] for fold in folds]
        drafts[model] = (
            draft(run, config, model, final[model])
            if model in final
            else combined(run, f"{config.name}-{model}", members, Combiner(), folds=config.folds, repeats=config.repeats)
        )
    return drafts, with_test(executor, run, drafts, mean_of_repeats(answers), progress)


def _answers(
    executor: Executor, run: Run, config: TrainConfig, fold: Fold, written: dict[tuple[str, str], str], progress: Progress | None
) -> pa.Table:
    """What the models of a fold say of the images that they have not seen."""
    held = run.samples.filter(pa.array(fold.held))
    bundles = {model: written[model, fold.name] for model in config.models}
    found = answers_for(executor, run, held, bundles, counting(progress, f"score {fold.name}"))
    for place, (name, number) in enumerate(((REPEAT, fold.repeat), (FOLD, fold.number))):
        found = found.add_column(place, name, pa.array([number] * len(found), pa.int64()))
    return found


def _job(run: Run, config: TrainConfig, model: str, fold: Fold) -> FitJob:
    """The fit of a model without a fold."""
    learnt = np.asarray(pc.equal(run.samples["split"], "train")) & ~fold.held
    watches = _watches(config, model)
    sides = np.where(learnt, "train", np.where(fold.held & (not watches), "val", ""))
    if watches:
        sides[learnt] = _watched(config, run.samples.filter(pa.array(learnt)), fold.name)
    uri = _write_sides(run, sides, f"{fold.name}-watched" if watches else fold.name)
    seed = config.seed + config.folds * fold.repeat + fold.number
    return _named(fit_job(config, model, uri, run.uri), run, model, fold.name, seed)


def _final_job(run: Run, config: TrainConfig, model: str) -> FitJob:
    """The fit of a model to all images."""
    learnt = np.asarray(pc.equal(run.samples["split"], "train"))
    sides = np.where(learnt, "train", "")
    if watches := _watches(config, model):
        sides[learnt] = _watched(config, run.samples.filter(pa.array(learnt)), ALL)
    uri = _write_sides(run, sides, f"{ALL}-watched" if watches else ALL)
    return _named(fit_job(config, model, uri, run.uri), run, model, ALL, config.seed)


def _named(job: FitJob, run: Run, model: str, name: str, seed: int) -> FitJob:
    return replace(job, model=f"{model}-{name}", fit_uri=store.join(run.uri, "fits", model, name), seed=seed)


def _watches(config: TrainConfig, model: str) -> bool:
    """Whether the fit of a model stops or chooses by validation images: these are drawn from its training images."""
    one = config.models[model]
    params = family_of(one.family).params.model_validate(one.params)
    return isinstance(params, Watching) and params.watches


def _watched(config: TrainConfig, rows: pa.Table, name: str) -> Sequence[str]:
    """``train`` or ``val`` of each image that a fit learns from, in the shares of the split."""
    split = config.labels.split
    share = split.val / (split.train + split.val)
    sides = divide(rows, config.task.strata(rows["target"]), [1 - share, share], f"{split.seed}:watched:{name}")
    return [("train", "val")[side] for side in sides]


def _write_sides(run: Run, sides: np.ndarray, name: str) -> str:
    """Keep the samples as a fit sees them; returns their URI."""
    samples = run.samples.select(sample_columns(run.samples))
    samples = samples.set_column(samples.column_names.index("split"), "split", pa.array(sides.tolist(), pa.string()))
    uri = store.join(run.uri, "folds", f"{name}.parquet")
    store.write(uri, tables.parquet_bytes(samples))
    return uri
