"""Whether the best model of a run becomes the champion: what the policy of its configuration says of a fair comparison."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field, model_validator

from medray.bundles import registry
from medray.bundles.manifest import MANIFEST, check_bundle
from medray.bundles.registry_table import NEWEST, NOT_PROMOTED, PROMOTED, ROLLED_BACK, Entry, Published
from medray.data import store
from medray.errors import BundleError, RunError
from medray.progress import Progress
from medray.runs.comparison import Comparison, compare
from medray.runs.draft import Run
from medray.runs.executor import Executor
from medray.runs.publish import Standing, TrainResult
from medray.spec import Spec

_logger = logging.getLogger("medray")
_TRIES = 10


class PromoteSpec(Spec):
    """When the best model of a run becomes the champion of its task and target.

    ``promote: if_better`` is short for ``promote: {policy: if_better}``.
    """

    policy: Literal["if_better", "if_not_inferior", "never"] = Field(
        "if_better",
        description="if_better: the interval of its gain over the champion lies above 0; if_not_inferior: above -margin; "
        "never: `medray registry promote` alone. The first of a task and target has no rival: it becomes champion unless never",
    )
    margin: float = Field(0.02, ge=0, description="by how much the monitored figure may be worse, in its own unit")
    patients: int = Field(20, ge=10, description="fewest patients that a comparison may rest on")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, raw: Any) -> Any:
        return {"policy": raw} if isinstance(raw, str) else raw


@dataclass(frozen=True)
class _Verdict:
    """What a policy says; ``figures`` are those it rests on."""

    promoted: bool
    why: str
    figures: Mapping[str, Any]


def promote_best(executor: Executor, run: Run, result: TrainResult, spec: PromoteSpec, progress: Progress | None) -> TrainResult:
    """Judge the best model of a run by the policy, and record what came of it; the same result again records nothing more.

    Raises:
        RunError: REGISTRY_BUSY where champions changed again and again meanwhile; RUN_INPUTS_FAILED; StoreError.
    """
    candidate = Published.of(result.bundles[result.best])
    for _ in range(_TRIES):
        entries = registry.history(run.output)
        rival = registry.current(entries, candidate.question)
        if standing := _settled(candidate, rival, spec):
            return _said(result, standing)
        problem = _problem(candidate, rival, entries)
        verdict = _Verdict(False, problem, {}) if problem else _judged(executor, run, result, rival, spec, progress)
        entry = Entry.about(
            candidate,
            PROMOTED if verdict.promoted else NOT_PROMOTED,
            policy=spec.policy,
            reason=verdict.why,
            replaced=rival.fingerprint if rival else "",
            figures=verdict.figures,
        )
        if registry.settle(run.output, entry, rival):
            champion = candidate if verdict.promoted else rival
            return _said(result, Standing(verdict.promoted, champion.bundle if champion else None, verdict.why))
    raise RunError("REGISTRY_BUSY", f"the champion of {candidate.question} changed while it was compared", "run again")


def _said(result: TrainResult, standing: Standing) -> TrainResult:
    _logger.info(standing.line)
    return replace(result, standing=standing)


def _settled(candidate: Published, rival: Entry | None, spec: PromoteSpec) -> Standing | None:
    """What needs no entry: the bundle is champion already, or the policy never promotes."""
    if rival and rival.is_same(candidate):
        return Standing(True, rival.bundle, rival.why)
    if spec.policy == "never":
        return Standing(False, rival.bundle if rival else None, "promote: never; `medray registry promote` makes it champion")
    return None


def _judged(
    executor: Executor, run: Run, result: TrainResult, rival: Entry | None, spec: PromoteSpec, progress: Progress | None
) -> _Verdict:
    if rival is None:
        return _Verdict(True, f"the first of {run.settings.task.question}: there is no champion to compare with", {})
    return _weighed(compare(executor, run, result, rival, spec.patients, progress), spec)


def _problem(candidate: Published, rival: Entry | None, entries: Sequence[Entry]) -> str:
    """Why only a person may promote a bundle; "" where a policy may."""
    asked = [one for one in entries if (one.task, one.target) == (candidate.task, candidate.target)]
    if any(one.event == ROLLED_BACK and one.replaced == candidate.fingerprint for one in asked):
        return "it was champion and rolled back; promote it by hand if that was wrong"
    if rival is None and any(one.event == NEWEST for one in asked):
        return "an earlier medray recorded models of this target without comparing them; promote the one that is meant by hand"
    if rival is None and candidate.value is None:
        return f"its {candidate.monitor} is not defined on validation; promote it by hand"
    if rival is None:
        return ""
    if not store.exists(store.join(rival.bundle, MANIFEST)):
        return f"the champion {rival.bundle} is gone; promote one by hand"
    try:
        check_bundle(rival.bundle, rival.fingerprint)
    except BundleError as error:
        return f"the champion {rival.bundle} is not what it was when it was promoted ({error.code}); promote one by hand"
    return ""


def _weighed(found: Comparison, spec: PromoteSpec) -> _Verdict:
    """What the policy makes of a comparison."""
    figures = {**found.figures, **({"margin": spec.margin} if spec.policy == "if_not_inferior" else {})}
    if found.problem or found.gain is None or found.gain.low is None:
        return _Verdict(False, f"not compared: {found.problem or 'the difference is not defined on these images'}", figures)
    if spec.policy == "if_better":
        better = found.gain.low > 0
        return _Verdict(better, f"{'better' if better else 'not shown to be better'}: {found.text}", figures)
    no_worse = found.gain.low >= -spec.margin
    words = "not worse" if no_worse else "it may be worse"
    return _Verdict(no_worse, f"{words} by more than {spec.margin:g}: {found.text}", figures)
