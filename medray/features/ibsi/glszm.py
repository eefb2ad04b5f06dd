"""Features of the grey-level size zone matrix."""

from __future__ import annotations

from medray.features.ibsi.sizes import rows, statistics
from medray.features.ibsi.subject import Slab
from medray.features.ibsi.textures import undirected
from medray.features.radiomics.matrices.glszm import glszm
from medray.types import Float64

ROWS = rows(
    "5QRC 48P8 XMSY 5GN9 5RAI HW1V YH51 J17V JNSA Y1RO 4JP3 VB3A P30P BYLV 3NSA GU8N",
    "zones of level i and j pixels",
    small="small_zone",
    large="large_zone",
    short="small_zone",
    long="large_zone",
    count="zone",
    size="zone_size",
    percentage="zone",
    entropy="zone_size",
)


def _statistics(slab: Slab) -> Float64:
    return statistics(*glszm(slab.levels, slab.count, in_plane=slab.in_plane))


GLSZM = undirected("glszm", "3.8", ROWS, _statistics)
