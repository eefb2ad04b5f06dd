"""A synthetic archive at a URI: ``medray synthesise``."""

from __future__ import annotations

from collections.abc import Sequence

from medray.data import store
from medray.data.synthetic import SyntheticSpec, labels_csv
from medray.distributed import session, synthesis
from medray.distributed.session import ClusterSpec
from medray.lifecycle.config import validated
from medray.lifecycle.summary import Progress, named


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
    """Write ``images/`` and ``labels.csv`` under ``uri``; needs a running session."""
    labels = synthesis.synthesise(spec, store.join(uri, "images"), named(progress, f"write {uri.rsplit('/', 1)[-1]}"))
    store.write(store.join(uri, "labels.csv"), labels_csv(labels))
