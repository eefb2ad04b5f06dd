"""Ray errors → the medray error inside, so that the user sees what went wrong and not where it ran."""

from __future__ import annotations

from collections.abc import Iterator

from medray.errors import MedrayError


def cause(error: BaseException) -> MedrayError:
    """The medray error that made a Ray call fail, or WORKER_FAILED with the last line of what happened."""
    for inner in _chain(error):
        if isinstance(inner, MedrayError):
            return inner
    last = str(error).strip().splitlines()[-1][:200] if str(error).strip() else type(error).__name__
    return MedrayError("WORKER_FAILED", f"a worker stopped: {last}", "run again; --debug shows all of it")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it wraps: Ray keeps causes in ``cause``, Train in ``worker_failures``."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [getattr(current, "cause", None), current.__cause__, *getattr(current, "worker_failures", {}).values()]
