"""Catalog → feature table: ``medray extract``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from medray.bundles.embedding import EmbeddingSpec, open_embedding
from medray.data import store, tables
from medray.data.catalog import IMAGE, Catalog, open_catalog
from medray.data.correction import Correction, Interpolation
from medray.data.key_record import marked
from medray.data.mask_table import KEY_COLUMNS, read_masks, with_masks
from medray.data.plane import FIELDS
from medray.data.query import query
from medray.data.segmentation import MaskChoice
from medray.data.stack_table import volume_table
from medray.distributed.session import ClusterSpec
from medray.errors import ConfigError, LabelError
from medray.features import table as features
from medray.features.families import FAMILIES
from medray.features.table import FeatureSpec
from medray.imaging.preprocess import PreprocessSpec
from medray.progress import Progress, counting
from medray.remedies import FLAGS, REMEDIES
from medray.runs.executor import executing
from medray.runs.resources import Resources
from medray.runs.summary import Summary, summarise
from medray.source import source_fingerprint
from medray.spec import Spec, fingerprint
from medray.work.extract import ExtractJob, WithoutMask
from medray.work.job import Volumes
from medray.work.outcome import KEYS, ONLY_MASKS, ONLY_VOLUMES
from medray.work.table import outcomes

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


class ExtractConfig(Spec):
    """``medray extract``."""

    output: str = Field(description="root of everything a run makes")
    catalog: str = Field(description="where `medray ingest` wrote")
    of: Literal["images", "volumes"] = Field("images", description="what is measured: images, or stacks of series as volumes")
    where: str | None = Field(None, description="SQL condition on the columns of the catalog that chooses among its images")
    allow: tuple[str, ...] = Field((), description="codes of volumes that become flags: VOLUME_GAP, …")
    max_bytes: int = Field(1 << 30, ge=1, le=16 << 30, description="size of a volume: 4 bytes a voxel; larger ones are refused")
    correct: tuple[Correction, ...] = Field((), description="what is corrected in volumes by interpolation: tilt, spacing")
    interpolation: Interpolation = Field("linear", description="of corrected volumes: linear or cubic")
    preprocess: PreprocessSpec = PreprocessSpec()
    features: FeatureSpec = FeatureSpec()
    embeddings: tuple[EmbeddingSpec, ...] = Field((), description="networks whose activations are features as well")
    masks: str | None = Field(
        None, description="CSV or Parquet table with the columns SOPInstanceUID (of volumes: SeriesInstanceUID) and mask"
    )
    segment: int | None = Field(None, ge=0, le=65535, description="segment of the masks that counts; default: all")
    level: float | None = Field(
        None, gt=0, le=1, description="smallest fraction that counts in a fractional SEG; without it, fractional SEGs are refused"
    )
    without_mask: WithoutMask = Field("whole", description="an input without a mask is measured as a whole, or excluded")
    cluster: ClusterSpec = ClusterSpec()
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _names_differ(self) -> ExtractConfig:
        names = [spec.name for spec in self.embeddings]
        if len(set(names)) < len(names):
            raise ValueError("embeddings must differ in their names")
        return self

    @model_validator(mode="after")
    def _settings_fit(self) -> ExtractConfig:
        features.check_range(self.features, self.preprocess.unit_range)
        if unknown := [code for code in self.allow if code not in REMEDIES and code not in FLAGS]:
            raise ValueError(f"allow: there is no code {unknown[0]!r}")
        if self.of == "images":
            if given := self.model_fields_set & {"allow", "correct", "interpolation", "max_bytes"}:
                raise ValueError(f"{min(given)} is a setting for volumes: set of: volumes")
            return self
        if self.embeddings:
            raise ValueError("embeddings need images: a network takes planes, not volumes")
        for step in self.preprocess.steps:
            if 3 not in step.dimensions:
                raise ValueError(f"preprocess: {step.op} takes no volumes")
        for params in self.features.families:
            if 3 not in FAMILIES[params.family].dimensions:
                raise ValueError(f"features: {params.family} takes no volumes")
        return self

    @property
    def volumes(self) -> Volumes | None:
        """How inputs become volumes, where they are not images."""
        if self.of == "images":
            return None
        return Volumes(self.allow, self.max_bytes, self.correct, self.interpolation)


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
    rows = marked(chosen_rows(catalog, snapshot, config), catalog.made_with())
    if config.masks:
        rows = _with_masks(rows, config.masks, "sop_uid" if config.of == "images" else "series_uid")
    with executing(config.cluster) as executor:
        executor.process(rows, job, table_uri, config.resources.actors, counting(progress, "extract"))
    _remove_outdated(table_uri, catalog, snapshot, rows)
    summary = summarise(outcomes(rows, table_uri), len(rows))
    return ExtractResult(table_uri, job.fingerprint, len(job.columns), summary)


def extract_job(config: ExtractConfig) -> ExtractJob:
    """The job of a configuration. Its fingerprint is of specs, networks and code; where it runs and on which images is not in it.

    Raises:
        BundleError, ConfigError, StoreError: as :func:`medray.bundles.embedding.open_embedding`.
    """
    embeddings = tuple(map(_anywhere, config.embeddings))
    opened = [open_embedding(spec) for spec in embeddings]
    specs = config.model_dump(mode="json", include=_MADE_BY)
    unused = (*(() if config.volumes else ONLY_VOLUMES), *(() if config.masks else ONLY_MASKS))
    code = source_fingerprint(
        "medray.work.extract", "medray.work.outcome", *config.preprocess.modules, *config.features.modules, apart=unused
    )
    made_by = fingerprint([specs, [one.fingerprint for one in opened], config.masks is not None, code])
    names = tuple(name for one in opened for name in one.columns)
    choice = MaskChoice(config.segment, config.level)
    return ExtractJob(config.preprocess, config.features, made_by, config.without_mask, embeddings, names, config.volumes, choice)


def _anywhere(spec: EmbeddingSpec) -> EmbeddingSpec:
    """The spec with URIs that mean the same in every process."""
    if spec.weights is None:
        return spec.model_copy(update={"bundle": store.normalise(str(spec.bundle))})
    return spec.model_copy(update={"weights": spec.weights.model_copy(update={"weights": store.normalise(spec.weights.weights)})})


def chosen_rows(catalog: Catalog, snapshot: int, config: ExtractConfig) -> pa.Table:
    """The images that the condition chooses, or their stacks, as :func:`medray.work.process.process` takes them; sorted by URI.

    Raises:
        ConfigError: QUERY_INVALID, EXTRACT_NOTHING; StoreError: TABLE_FORMAT.
    """
    where, names = config.where, ("sop_uid", "patient_key") if config.of == "images" else FIELDS
    columns = ", ".join(f'"{name}"' for name in ("uri", "etag", "size_bytes", *names))
    sql = f"SELECT {columns} FROM catalog WHERE state = '{IMAGE}'" + (f" AND ({where})" if where else "")
    rows = query(sql, {"catalog": catalog.dataset(snapshot, names)})
    if not len(rows):
        chosen = f"where {where}" if where else "that is usable"
        raise ConfigError("EXTRACT_NOTHING", f"the catalog {catalog.uri} has no image {chosen}", "see `medray catalog summary`")
    return rows.sort_by("uri") if config.of == "images" else volume_table(rows)


def _with_masks(rows: pa.Table, masks_uri: str, key: str) -> pa.Table:
    """The rows with ``mask`` and ``mask_etag``, "" where the table of masks has none for the ``key``.

    Raises:
        LabelError: MASKS_NO_MATCH, or as :func:`medray.data.mask_table.read_masks`; StoreError.
    """
    masks = read_masks(masks_uri, key)
    at = pc.index_in(rows[key], value_set=masks[key].combine_chunks())
    found = pc.fill_null(masks["mask"].take(at), "").to_pylist()
    if not any(found):
        raise LabelError("MASKS_NO_MATCH", f"{masks_uri} has a mask for none of {len(rows)} inputs", f"check {KEY_COLUMNS[key]}")
    return with_masks(rows, found, all_there=False)


def _remove_outdated(table_uri: str, catalog: Catalog, snapshot: int, rows: pa.Table) -> None:
    """Remove rows whose image is no longer in the catalog, has changed, or has another mask now.

    Of volumes, also stacks that a chosen series no longer has.
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
