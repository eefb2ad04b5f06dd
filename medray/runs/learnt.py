"""Which patients a bundle has learnt from, as the samples of its run say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medray.bundles.ensemble import ENSEMBLE, MEMBERS
from medray.bundles.manifest import MANIFEST, Manifest, read_manifest
from medray.bundles.registry import root_of
from medray.data import store
from medray.data.key_record import made_with
from medray.runs.samples import SAMPLES


@dataclass(frozen=True)
class Learnt:
    """The images that a bundle knows.

    Attributes:
        images: columns ``uri``, ``group`` (patient) and ``learnt``, whether it has learnt from the image.
        keys: identifiers of the keys that made the pseudonyms of its runs, None of one that is not recorded.
    """

    images: pa.Table
    keys: frozenset[str | None]

    @property
    def patients(self) -> pa.Array:
        """The patients that it has learnt from, each once."""
        return self.images.filter(self.images["learnt"])["group"].unique()

    def renames(self, rows: pa.Table, key: str | None) -> bool:
        """Whether patients may have other names here than in ``rows`` (uri, group), whose pseudonyms the key made.

        They have where another key made those here, though no image be in both, and where other labels name an image's patient.
        """
        if self.keys != {key}:
            return True
        at = pc.index_in(self.images["uri"], value_set=rows["uri"].combine_chunks())
        same = pc.equal(self.images["group"], rows["group"].take(at))
        return not pc.all(pc.fill_null(same, True)).as_py()


def learnt_by(uri: str, output: str) -> Learnt | None:
    """What the bundle at ``uri`` has learnt from; None where the samples of a run are neither under ``output`` nor beside it.

    An ensemble has learnt from what its members have; a stacked or weighted one from its validation images, too.

    Raises:
        BundleError: BUNDLE_NOT_FOUND, BUNDLE_FORMAT.
    """
    parts = list(_parts(uri, [output, root_of(uri)]))
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    return Learnt(pa.concat_tables(known), frozenset(made_with(part.schema) for part in known))


def _parts(uri: str, roots: Sequence[str | None]) -> Iterable[pa.Table | None]:
    manifest = read_manifest(uri, own=True)
    if manifest.family != ENSEMBLE:
        yield _samples(manifest, roots, "train")
        return
    if manifest.params.get("combine") != "mean":
        yield _samples(manifest, roots, "val")
    number = 0
    made_of = [root_of(member) for member in manifest.provenance.get("members", {})]
    while store.exists(store.join(member := store.join(uri, MEMBERS, str(number)), MANIFEST)):
        yield from _parts(member, [*roots, *made_of])
        number += 1


def _samples(manifest: Manifest, roots: Sequence[str | None], side: str) -> pa.Table | None:
    """The images of the run that made a bundle; it has learnt from those of one side."""
    run = str(manifest.provenance.get("run", ""))
    places = [store.join(root, "runs", run, SAMPLES) for root in dict.fromkeys(roots) if root and run]
    place = next(filter(store.exists, places), None)
    if place is None:
        return None
    found = pq.read_table(pa.BufferReader(store.read(place)), columns=["uri", "group", "split"])
    return found.select(["uri", "group"]).append_column("learnt", pc.equal(found["split"], side))
