"""Ray's errors end in the error that a user can act on."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable

import pytest
import ray
from ray import exceptions

from medray.distributed.failures import cause
from medray.errors import BundleError, MedrayError


class Opens:
    """An actor that fails in its constructor."""

    def __init__(self, error: Exception) -> None:
        raise error

    def ready(self) -> None:
        """Never called."""


def failing(error: Exception) -> None:
    raise error


def of_actor(error: Exception) -> MedrayError:
    with pytest.raises(exceptions.RayError) as caught:
        ray.get(ray.remote(num_cpus=0)(Opens).remote(error).ready.remote())
    return cause(caught.value)


def of_task(error: Exception) -> MedrayError:
    with pytest.raises(exceptions.RayError) as caught:
        ray.get(ray.remote(num_cpus=0, max_retries=0)(failing).remote(error))
    return cause(caught.value)


@pytest.mark.parametrize("of", [of_task, of_actor])
def test_what_a_worker_raised(of: Callable[[Exception], MedrayError], ray_session: None) -> None:
    found = of(BundleError("BUNDLE_NOT_FOUND", "/b holds no bundle", "check the path"))
    assert str(found) == "BUNDLE_NOT_FOUND: /b holds no bundle (check the path)"
    found = of(OSError(errno.ENOSPC, "No space left on device", "/out/part"))
    assert str(found).startswith("DISK_FULL: no space is left at /out/part ")


@pytest.mark.parametrize("of", [of_task, of_actor])
def test_the_text_of_what_a_worker_did_not_expect_is_not_shown(of: Callable[[Exception], MedrayError], ray_session: None) -> None:
    found = of(LookupError("no such\npatient: DOE^JANE"))
    assert str(found) == "WORKER_FAILED: a worker stopped: LookupError (run again; --debug shows all of it)"


def test_a_worker_that_was_killed(ray_session: None) -> None:
    def dies() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(exceptions.WorkerCrashedError) as caught:
        ray.get(ray.remote(num_cpus=0, max_retries=0)(dies).remote())
    assert str(cause(caught.value)).startswith("WORKER_FAILED: a process of Ray was killed, or crashed (")


def test_what_ray_itself_lacks() -> None:
    assert cause(exceptions.OutOfMemoryError("killed")).code == "OUT_OF_MEMORY"
    assert cause(exceptions.OutOfDiskError("full")).code == "DISK_FULL"
    assert cause(exceptions.LocalRayletDiedError()).code == "CLUSTER_LOST"
    assert cause(exceptions.RpcError("no GCS")).code == "CLUSTER_LOST"
    assert cause(exceptions.ActorUnschedulableError("no node has the label x")).message == "a worker stopped: " + str(
        exceptions.ActorUnschedulableError("no node has the label x")
    )
    assert "this machine" not in str(cause(exceptions.NodeDiedError("gone")))
