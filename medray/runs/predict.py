"""Score an archive with a bundle: ``medray predict``."""

from __future__ import annotations

from medray.bundles.manifest import read_manifest
from medray.bundles.registry import recorded
from medray.data import archive, store
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError
from medray.progress import Progress
from medray.runs.executor import executing
from medray.runs.score import key_for, object_rows, score, table_bytes, working_folder
from medray.runs.summary import Summary


def predict_source(
    bundle_uri: str,
    source: str,
    out: str,
    cluster: ClusterSpec,
    work: str | None = None,
    progress: Progress | None = None,
    key_file: str | None = None,
) -> Summary:
    """Score every object under ``source`` and write one row each to ``out`` (.parquet or .csv).

    Args:
        key_file: local file with the key of pseudonyms: see :func:`medray.data.key_file.the_key`.

    Raises:
        ConfigError: PREDICT_OUT; as :func:`medray.data.key_file.the_key`; StoreError; BundleError.
    """
    if not out.endswith((".parquet", ".csv")):
        raise ConfigError("PREDICT_OUT", f"--out {out} is neither .parquet nor .csv", "name one of them")
    manifest = read_manifest(bundle_uri, recorded(bundle_uri))
    rows = object_rows(archive.list_objects(source))
    with working_folder(work, cluster) as place, executing(cluster) as executor:
        table_uri = store.join(place, known := manifest.fingerprint())
        key = key_for(table_uri, key_file)
        table, summary = score(executor, bundle_uri, rows, table_uri, None, progress, "predict", key=key, fingerprint=known)
    store.write(out, table_bytes(manifest.task.decided(table, manifest.decision), out))
    return summary
