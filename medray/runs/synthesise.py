"""A synthetic archive at a URI: ``medray synthesise``."""

from __future__ import annotations

from collections.abc import Sequence

from medray.configuration import validated
from medray.data import store
from medray.data.synthetic import SyntheticSpec, labels_csv
from medray.distributed import session
from medray.distributed.session import ClusterSpec
from medray.distributed.synthesise import synthesise as write_parallel
from medray.progress import Progress, counting


def synthesise(uri: str, settings: Sequence[str], cluster: ClusterSpec, progress: Progress | None = None) -> int:
    """Write an archive as ``settings`` (``name=value`` of SyntheticSpec) say; returns the number of images.

    Raises:
        ConfigError, StoreError
    """
    spec = validated({}, SyntheticSpec, settings, "--set")
    with session.session(cluster):
        write_archive(spec, uri, progress)
    return spec.count


def write_archive(spec: SyntheticSpec, uri: str, progress: Progress | None) -> None:
    """Write ``images/``, ``masks/`` and ``labels.csv`` under ``uri``; needs a running session."""
    labels = write_parallel(spec, uri, counting(progress, f"write {uri.rsplit('/', 1)[-1]}"))
    store.write(store.join(uri, "labels.csv"), labels_csv(labels))
