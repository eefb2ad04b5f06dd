"""Catalog → feature table: ``medray extract``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import pyarrow as pa
import pyarrow.compute as pc

from medray.data import store, tables
from medray.data.catalog import IMAGE, Catalog, open_catalog
from medray.data.masks import KEY_COLUMNS, read_masks
from medray.data.plane import FIELDS
from medray.data.query import query
from medray.data.segmentation import MaskChoice
from medray.data.stack_table import volume_table
from medray.distributed.dataset import outcomes, process
from medray.distributed.extraction import ExtractJob
from medray.distributed.outcome import KEYS
from medray.embedding import EmbeddingSpec, open_embedding
from medray.errors import ConfigError, LabelError
from medray.lifecycle.config import ExtractConfig
from medray.lifecycle.summary import Progress, Summary, named, summarise
from medray.spec import fingerprint

_MADE_BY = {
    "preprocess",
    "features",
    "without_mask",
    "of",
    "allow",
    "correct",
    "interpolation",
    "max_bytes",
    "segment",
    "level",
}
"""Settings that the values of a feature table depend on."""


@dataclass(frozen=True)
class ExtractResult:
    """What a run made.

    Attributes:
        table_uri: the feature table, a Delta table.
        fingerprint: of what made it.
        features: number of its feature columns.
        summary: the sums.
    """

    table_uri: str
    fingerprint: str
    features: int
    summary: Summary


def extract(config: ExtractConfig, progress: Progress | None = None) -> ExtractResult:
    """Bring a feature table up to date with the images or volumes of a catalog; only new and changed ones are read.

    The table has a row for each of them: ``uri`` and ``etag`` (of a volume, those of
    :func:`medray.data.stack_table.volume_table`), ``sop_uid``, ``series_uid``, ``study_uid``, ``patient_key``,
    ``content_sha256``, ``state``, ``code``, ``message``, ``flags``; of volumes ``divided_by`` and ``value``; ``mask`` and
    ``mask_etag`` where there are masks; ``fingerprint``; ``units`` of the pixels that were measured; a float64 column for each
    feature, null where it is not
    defined; and ``reasons``, which says why.

    Raises:
        ConfigError: QUERY_INVALID, EXTRACT_NOTHING; LabelError: the table of masks; StoreError; ClusterError; RunError.
    """
    job = extract_job(config)
    table_uri = store.join(config.output, "features", job.fingerprint)
    catalog = open_catalog(config.catalog)
    snapshot = catalog.version()
    rows = chosen_rows(catalog, snapshot, config)
    if config.masks:
        rows = with_masks(rows, config.masks, "sop_uid" if config.of == "images" else "series_uid")
    process(rows, job, table_uri, config.resources.actors, named(progress, "extract"), config.cluster)
    _remove_outdated(table_uri, catalog, snapshot, rows)
    summary = summarise(outcomes(rows, table_uri), len(rows))
    return ExtractResult(table_uri, job.fingerprint, len(job.columns), summary)


def extract_job(config: ExtractConfig) -> ExtractJob:
    """The job of a configuration. Its fingerprint is of specs, networks and code; where it runs and on which images is not in it.

    Raises:
        BundleError, ConfigError, StoreError: as :func:`medray.embedding.open_embedding`.
    """
    embeddings = tuple(map(_anywhere, config.embeddings))
    opened = [open_embedding(spec) for spec in embeddings]
    specs = config.model_dump(mode="json", include=_MADE_BY)
    made_by = fingerprint([specs, [one.fingerprint for one in opened], config.masks is not None, version("medray")])
    names = tuple(name for one in opened for name in one.columns)
    choice = MaskChoice(config.segment, config.level)
    return ExtractJob(config.preprocess, config.features, made_by, config.without_mask, embeddings, names, config.volumes, choice)


def _anywhere(spec: EmbeddingSpec) -> EmbeddingSpec:
    """The spec with URIs that mean the same in every process."""
    if spec.weights is None:
        return spec.model_copy(update={"bundle": store.normalise(str(spec.bundle))})
    return spec.model_copy(update={"weights": spec.weights.model_copy(update={"weights": store.normalise(spec.weights.weights)})})


def chosen_rows(catalog: Catalog, snapshot: int, config: ExtractConfig) -> pa.Table:
    """The images that the condition chooses (``uri``, ``etag``, ``size_bytes``, ``sop_uid``), or their stacks; sorted by URI.

    Raises:
        ConfigError: QUERY_INVALID, EXTRACT_NOTHING; StoreError: TABLE_FORMAT.
    """
    where, names = config.where, ("sop_uid",) if config.of == "images" else FIELDS
    columns = ", ".join(f'"{name}"' for name in ("uri", "etag", "size_bytes", *names))
    sql = f"SELECT {columns} FROM catalog WHERE state = '{IMAGE}'" + (f" AND ({where})" if where else "")
    rows = query(sql, {"catalog": catalog.dataset(snapshot, names)})
    if not len(rows):
        chosen = f"where {where}" if where else "that is usable"
        raise ConfigError("EXTRACT_NOTHING", f"the catalog {catalog.uri} has no image {chosen}", "see `medray catalog summary`")
    return rows.sort_by("uri") if config.of == "images" else volume_table(rows)


def with_masks(rows: pa.Table, masks_uri: str, key: str) -> pa.Table:
    """The rows with ``mask`` and ``mask_etag``, "" where the table of masks has none for the ``key``.

    Raises:
        LabelError: MASKS_NO_MATCH, or as :func:`medray.data.masks.read_masks`; StoreError.
    """
    masks = read_masks(masks_uri, key)
    at = pc.index_in(rows[key], value_set=masks[key].combine_chunks())
    found = pc.fill_null(masks["mask"].take(at), "")
    uris = pc.unique(found.filter(pc.not_equal(found, ""))).to_pylist()
    if not uris:
        raise LabelError("MASKS_NO_MATCH", f"{masks_uri} has a mask for none of {len(rows)} inputs", f"check {KEY_COLUMNS[key]}")
    etags = _etags(uris)
    etag = pa.array([etags.get(uri, "") for uri in found.to_pylist()], pa.string())
    return rows.append_column("mask", found).append_column("mask_etag", etag)


def _etags(uris: list[str]) -> dict[str, str]:
    """Etag of each object, by one listing of what they have in common."""
    first, last = min(uris), max(uris)
    common = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    folder = first[:common].rpartition("/")[0] if first != last else first
    return {info.uri: info.etag for info in store.list_objects(folder)}


def _remove_outdated(table_uri: str, catalog: Catalog, snapshot: int, rows: pa.Table) -> None:
    """Take out what was measured of what is no longer in the catalog, or was another or had another mask.

    Of volumes, also what is no stack any more of a series of which images are chosen.
    """
    keys = [name for name in KEYS if name in rows.column_names]
    volumes = "members" in rows.column_names
    known = tables.read_table(table_uri, columns=[*keys, "series_uid"] if volumes else keys)
    owner = "series_uid" if volumes else "uri, etag"
    images = query(f"SELECT DISTINCT {owner} FROM catalog WHERE state = '{IMAGE}'", {"catalog": catalog.dataset(snapshot)})
    rows = rows.select(known.column_names)
    sql = f"""SELECT * FROM known ANTI JOIN images USING ({owner}) UNION ALL
        SELECT known.* FROM known SEMI JOIN rows USING ({owner}) ANTI JOIN rows AS same USING ({", ".join(keys)})"""
    outdated = query(sql, {"known": known, "images": images, "rows": rows}).select(keys)
    if len(outdated):
        tables.remove(table_uri, outdated)
