"""Published bundles of one task → a bundle that combines them: ``medray ensemble``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medray.bundles.combiner import Combine, check_combiner, combine, fit_combiner
from medray.bundles.manifest import Manifest, read_manifest
from medray.bundles.registry import recorded
from medray.data import store, tables
from medray.data.folds import FOLD
from medray.data.splits import OUT_OF_FOLD, SplitSpec
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError, LabelError, RunError
from medray.evaluation.thresholds import ThresholdPolicy
from medray.progress import Progress, counting
from medray.runs.draft import Draft, Run, Settings, combined, environment
from medray.runs.executor import Executor, executing
from medray.runs.folded_answers import REPEAT, answers_out_of_fold, keep_answers
from medray.runs.held_out import KNOWN, Scores, score_held_out, with_test
from medray.runs.learnt import learnt_by
from medray.runs.promotion import PromoteSpec, promote_best
from medray.runs.publish import TrainResult, publish
from medray.runs.resources import Resources
from medray.runs.samples import labelled_samples, require_sides, sample_columns, write_samples
from medray.runs.split import SPLIT, cautions_of, counts_of, split_csv
from medray.runs.summary import Summary, summarise
from medray.spec import Spec, canonical_json, fingerprint
from medray.tasks.head import Output
from medray.tasks.task import Task
from medray.types import State
from medray.work.score import score_job
from medray.work.table import outcomes


class EnsembleLabels(Spec):
    """How labelled images are divided: as in the runs that made the members."""

    split: SplitSpec = SplitSpec()


class EnsembleConfig(Spec):
    """``medray ensemble``."""

    output: str = Field(description="root of everything a run makes")
    catalog: str = Field(description="where `medray ingest` wrote")
    name: str = Field("ensemble", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    members: tuple[str, ...] = Field(min_length=2, description="URIs of published bundles of one task")
    combine: Combine = Field(
        "mean",
        description="mean of the answers, a weighted one, or a regression on them; the latter two are fitted to what members "
        "that were fitted in folds said out of fold, of others to their answers for validation images",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1)
    labels: EnsembleLabels = EnsembleLabels()
    threshold: ThresholdPolicy = ThresholdPolicy()
    promote: PromoteSpec = PromoteSpec()
    cluster: ClusterSpec = ClusterSpec()
    resources: Resources = Resources()


@dataclass(frozen=True)
class _Members:
    """The bundles that are combined.

    Attributes:
        answers: what each said out of fold (``uri`` and the answer's columns); none where some were not fitted in folds.
    """

    uris: Sequence[str]
    manifests: Sequence[Manifest]
    answers: Sequence[pa.Table] = ()

    @property
    def fingerprints(self) -> dict[str, str]:
        """URI → fingerprint."""
        return {uri: manifest.fingerprint() for uri, manifest in zip(self.uris, self.manifests, strict=True)}


def ensemble(config: EnsembleConfig, progress: Progress | None = None) -> TrainResult:
    """Combine the members, choose how to decide, evaluate on test, and publish; the same command resumes.

    Where all members were fitted in folds the combination and the decision are chosen on what they said out of fold, otherwise on
    validation images.

    Raises:
        ConfigError: ENSEMBLE_TASKS, ENSEMBLE_HEAD, CONFIG_INVALID; LabelError: ENSEMBLE_LEARNT, …; StoreError, BundleError,
            RunError.
    """
    members = _opened(config)
    task = _common_task(members.manifests, config)
    folded = bool(members.answers)
    samples, version = labelled_samples(config.catalog, task, config.labels.split, pooled=folded)
    _require_unseen(members, samples, config.output)
    name = _run_name(config, list(members.fingerprints.values()), samples)
    run_uri = store.join(config.output, "runs", name)
    store.write(store.join(run_uri, SPLIT), split_csv(samples))
    provenance = {"run": name, "catalog": store.normalise(config.catalog), "catalog_version": version, **environment()}
    with executing(config.cluster) as executor:
        settings = Settings(task, config.threshold, config.seed, config.resources.actors)
        kept, found, summary = _answers(executor, members, samples, run_uri, settings, progress)
        run = Run(
            output=config.output,
            uri=run_uri,
            settings=settings,
            samples=kept,
            provenance={**provenance, "members": members.fingerprints},
            split=counts_of(task, samples),
            warnings=cautions_of(task, samples, config.labels.split),
            decided_on=OUT_OF_FOLD if folded else "val",
        )
        outputs = [task.outputs(one) for one in found]
        decided = kept.filter(pc.equal(kept["split"], "train" if folded else "val"))
        combiner = fit_combiner(config.combine, task.head, outputs, task.truth(decided["target"]))
        draft = combined(run, f"{config.name}-{config.combine}", members.uris, combiner)
        write_samples(kept, run_uri)
        scores = _scores(executor, run, config.combine, draft, combine(task.head, outputs, combiner), progress)
        result = publish(run, {str(config.combine): draft}, scores, summary)
        return promote_best(executor, run, result, config.promote, progress)


def _opened(config: EnsembleConfig) -> _Members:
    """The members' manifests, and what they said out of fold where all of them did."""
    uris = [store.normalise(uri) for uri in config.members]
    manifests = [read_manifest(uri, recorded(uri, config.output)) for uri in uris]
    answers = [_out_of_fold(uri, manifest) for uri, manifest in zip(uris, manifests, strict=True)]
    known = [one for one in answers if one is not None]
    return _Members(uris, manifests, known if len(known) == len(answers) else ())


def _out_of_fold(uri: str, manifest: Manifest) -> pa.Table | None:
    """A member's answers for images that it had not seen, calibrated as it is."""
    found = answers_out_of_fold(uri, str(manifest.provenance.get("run", "")), uri.rsplit("/", 1)[-1])
    calibration = manifest.decision.calibration
    return manifest.task.recalibrated(found, calibration) if found is not None and calibration else found


def _require_unseen(members: _Members, samples: pa.Table, output: str) -> None:
    """Check that no member has learnt from a patient that it is judged on; raises LabelError ENSEMBLE_LEARNT."""
    judged = samples.filter(pc.not_equal(samples["split"], "train"))
    for uri in members.uris:
        learnt = learnt_by(uri, output)
        if learnt is None:
            continue
        seen = judged.filter(pc.is_in(judged["group"], value_set=learnt.patients))
        if len(seen):
            message = f"{uri} has learnt from patients of {len(seen)} of {len(judged)} images that it would be judged on"
            hint = "set labels.split as in its run (`file: RUN/split.csv`), or combine members that were all fitted in folds"
            raise LabelError("ENSEMBLE_LEARNT", message, hint)


def _common_task(manifests: Sequence[Manifest], config: EnsembleConfig) -> Task:
    """The task of all members; raises ConfigError where they differ, cannot be combined, or take no threshold."""
    task = manifests[0].task
    if other := next((manifest.task for manifest in manifests if manifest.task != task), None):
        message = (
            f"the members learn different tasks: {canonical_json(task.model_dump())} and {canonical_json(other.model_dump())}"
        )
        raise ConfigError("ENSEMBLE_TASKS", message, "name bundles of one task")
    check_combiner(task.head, config.combine)
    if not task.decides and "threshold" in config.model_fields_set:
        raise ConfigError("CONFIG_INVALID", f"threshold: the task {task.kind} takes none", "remove it from the configuration")
    return task


def _run_name(config: EnsembleConfig, fingerprints: Sequence[str], samples: pa.Table) -> str:
    """Name of the run that this configuration, these members and samples make."""
    decides = config.model_dump(mode="json", exclude={"output", "catalog", "members", "cluster", "resources", "promote"})
    data = tables.table_digest(samples.select(sample_columns(samples)))
    return f"{config.name}-{fingerprint([decides, list(fingerprints), data])}"


def _answers(
    executor: Executor, members: _Members, samples: pa.Table, run_uri: str, settings: Settings, progress: Progress | None
) -> tuple[pa.Table, list[pa.Table], Summary]:
    """The samples that every member answers for, each member's answers for those that are decided on, by URI, and the sums.

    Raises:
        RunError: RUN_INPUTS_FAILED.
        LabelError: too little is left to choose a decision on.
    """
    held_out = samples.filter(pc.not_equal(samples["split"], "train")).sort_by("uri")
    table, summary = _scored(executor, members, held_out, run_uri, settings, progress)
    scored = pc.equal(table["state"], State.SCORED.value)
    kept = held_out.filter(scored)
    if members.answers:
        known = _known_to_all(samples.filter(pc.equal(samples["split"], "train")).sort_by("uri"), members.answers)
        require_sides(settings.task, known, ("train",), summary.reasons)
        return pa.concat_tables([known, kept]), [_of(known, one) for one in members.answers], summary
    require_sides(settings.task, kept, ("val",), summary.reasons)
    rows = table.filter(scored).filter(pc.equal(kept["split"], "val"))
    return kept, [_own(rows, f"{number}.") for number in range(len(members.uris))], summary


def _scored(
    executor: Executor, members: _Members, held_out: pa.Table, run_uri: str, settings: Settings, progress: Progress | None
) -> tuple[pa.Table, Summary]:
    """What became of the held-out samples: ``state`` and the members' answers, and the sums; raises RUN_INPUTS_FAILED."""
    bundles = {f"{number}.": uri for number, uri in enumerate(members.uris)}
    job = score_job(bundles, fingerprints=members.fingerprints)
    fields = [*(pa.field(name, pa.string()) for name in ("uri", "state", "code")), *job.fields()]
    if not len(held_out):
        empty = pa.schema(fields).empty_table()
        return empty, summarise(empty, 0)
    table_uri = store.join(run_uri, "members")
    executor.process(held_out, job, table_uri, settings.actors, counting(progress, "score members"))
    table = outcomes(held_out, table_uri, [field.name for field in fields])
    summary = summarise(table, len(held_out))
    if summary.failed:
        message = f"{summary.failed} of {len(held_out)} images could not be fetched"
        raise RunError("RUN_INPUTS_FAILED", message, "run again; done work is kept")
    return table, summary


def _known_to_all(samples: pa.Table, answers: Sequence[pa.Table]) -> pa.Table:
    """The samples that every member answered for out of fold."""
    for one in answers:
        samples = samples.filter(pc.is_in(samples["uri"], value_set=one["uri"].combine_chunks()))
    return samples


def _of(samples: pa.Table, answers: pa.Table) -> pa.Table:
    """The answers for the samples, in their order."""
    return answers.take(pc.index_in(samples["uri"], value_set=answers["uri"].combine_chunks())).drop_columns(["uri"])


def _own(rows: pa.Table, prefix: str) -> pa.Table:
    own = [name for name in rows.column_names if name.startswith(prefix)]
    return rows.select(own).rename_columns([name.removeprefix(prefix) for name in own])


def _scores(executor: Executor, run: Run, name: str, draft: Draft, outputs: Output, progress: Progress | None) -> Scores:
    """What the ensemble says of the images that it is decided and judged on."""
    if run.decided_on != OUT_OF_FOLD:
        return score_held_out(executor, run, {name: draft}, progress)
    rows = run.samples.filter(pc.equal(run.samples["split"], "train")).select(KNOWN)
    for column, values in run.settings.task.columns_of(outputs).items():
        rows = rows.append_column(f"{name}.{column}", pa.array(values))
    once = pa.array([0] * len(rows), pa.int64())
    keep_answers(run.uri, rows.append_column(REPEAT, once).append_column(FOLD, once))
    return with_test(executor, run, {name: draft}, rows, progress)
