"""Ray errors → the medray error inside, so that the user sees what went wrong and not where it ran."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medray.errors import ClusterError, MedrayError
from medray.exhaustion import exhausted, out_of_memory

_RAISED = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception))\b", re.MULTILINE)
_LOW = "running low on memory"  # as Ray says of an actor that it has ended
_QUOTED = re.compile(r"\bmedray\.errors\.\w+: ([A-Z_]+): (.+)$", re.MULTILINE)


def cause(error: BaseException) -> MedrayError:
    """The medray error that made a Ray call fail, or the reason as Ray names it, or WORKER_FAILED."""
    from ray.exceptions import RayError

    inside = list(_chain(error))
    for inner in inside:
        if isinstance(inner, MedrayError) and not isinstance(inner, RayError):  # Ray makes a class that is both
            return inner
    for read in (_quoted, _reason, _killed):
        for inner in inside:
            if found := read(inner):
                return found
    return MedrayError("WORKER_FAILED", f"a worker stopped: {_told(error, inside)}", "run again; --debug shows all of it")


def _told(error: BaseException, inside: list[BaseException]) -> str:
    """The type alone of what a worker raised, whose text may hold anything, or the last line of what Ray itself says."""
    raised = [type(inner).__name__ for inner in inside if not type(inner).__module__.startswith("ray.")]
    if named := raised or _RAISED.findall(str(error)):
        return named[-1]
    words = str(error).strip()
    return words.splitlines()[-1][:200] if words and "Traceback" not in words else type(error).__name__


def lost(address: str) -> ClusterError:
    """CLUSTER_LOST: Ray itself ended in the middle of a command."""
    if address == "local":
        message = "Ray's processes on this machine ended in the middle of the command"
        return ClusterError("CLUSTER_LOST", message, "run again: it goes on where it was; /tmp/ray/session_latest/logs says more")
    message = f"the cluster at {address} ended in the middle of the command, or cannot be reached any more"
    return ClusterError("CLUSTER_LOST", message, "look at the cluster, then run again: it goes on where it was")


def _quoted(error: BaseException) -> MedrayError | None:
    """What a worker raised and Ray keeps the text alone of: an actor while it started, a worker of Ray Data."""
    found = _QUOTED.findall(str(error))
    return MedrayError(*found[-1]) if found else None


def _killed(error: BaseException) -> MedrayError | None:
    from ray import exceptions

    if isinstance(error, (exceptions.WorkerCrashedError, exceptions.RayActorError)) and not _started_badly(error):
        hint = "run again; what is finished is kept (is there memory enough?)"
        return MedrayError("WORKER_FAILED", "a process of Ray was killed, or crashed", hint)
    return None


def _started_badly(error: BaseException) -> bool:
    return bool(getattr(error, "actor_init_failed", False))


def _reason(error: BaseException) -> MedrayError | None:
    """What Ray's own exceptions, and those of a machine that has run out of something, mean."""
    from ray import exceptions

    if isinstance(error, exceptions.OutOfMemoryError) or (isinstance(error, exceptions.RayActorError) and _LOW in str(error)):
        return out_of_memory()
    if isinstance(error, (exceptions.OutOfDiskError, exceptions.ObjectStoreFullError)):
        return MedrayError(
            "DISK_FULL", "Ray has no room for its objects on a node", "make room in /tmp and /dev/shm, then run again"
        )
    if isinstance(error, (exceptions.LocalRayletDiedError, exceptions.NodeDiedError, exceptions.RpcError)):
        message = "a node of Ray ended in the middle of the command, or cannot be reached any more"
        return ClusterError("CLUSTER_LOST", message, "look at it, then run again: it goes on where it was")
    return exhausted(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it wraps: Ray keeps causes in ``cause``, Train in two of its own."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [getattr(current, name, None) for name in ("cause", "__cause__", "controller_failure")]
        waiting += getattr(current, "worker_failures", {}).values()
