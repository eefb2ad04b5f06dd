"""Headers of JPEG 2000 code streams (ITU-T T.800 annex A, T.814): which decoder they suit, and how much memory it would take."""

from __future__ import annotations

from collections.abc import Iterator

START_OF_TILE_PART, START_OF_DATA, END = 0x90, 0x93, 0xD9
CODING_STYLE, COMPONENT_STYLE = 0x52, 0x53
_CAPABILITIES, _SIZE, _QUANTIZATION, _TILE_LENGTHS, _COMMENT = 0x50, 0x51, 0x5C, 0x55, 0x64
_MAIN_HEADER = [_CAPABILITIES, _SIZE, CODING_STYLE, _QUANTIZATION]
MAX_TILE_PARTS = 1 << 14
MAX_LEVELS = 32
_IMPOSSIBLE = 1 << 62
_VALUE_BYTES, _BLOCK_BYTES, _PACKET_BYTES = 8, 600, 4  # what OpenJPEG 2.5 holds, measured: for a value, a block, a packet

Segment = tuple[int, bytes]


def segments(data: bytes, position: int, last: int) -> Iterator[tuple[int, int, int]]:
    """(marker, offset of its parameters, their length) up to the first ``last``; fill bytes are passed over (T.81 B.1.1.2)."""
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == last:
            return
        length = data[position + 2] << 8 | data[position + 3]
        yield marker, position + 4, length - 2
        position += 2 + max(length, 2)


def tile_part_headers(data: bytes, position: int) -> tuple[list[Segment], bool]:
    """The marker segments of the tile-parts from the first on (T.800 A.4.2), and whether these reach to the end marker."""
    found: list[Segment] = []
    for _ in range(MAX_TILE_PARTS):
        if data[position : position + 2] != bytes((0xFF, START_OF_TILE_PART)):
            return found, data[position : position + 2] == bytes((0xFF, END))
        found += [(marker, data[at : at + length]) for marker, at, length in segments(data, position, START_OF_DATA)]
        length = int.from_bytes(data[position + 6 : position + 10], "big")
        if length < 14:  # 0: up to the end
            return found, False
        position += length
    return found, False


def decoder_bytes(pixels: int, samples: int, styles: list[Segment]) -> int:
    """Memory that OpenJPEG takes beside the image, an upper bound: small blocks and precincts of a large image are a bomb.

    Args:
        pixels: rows × columns.
        samples: number of components.
        styles: COD and COC segments of all headers.
    """
    layers = max((int.from_bytes(value[2:4], "big") for marker, value in styles if marker == CODING_STYLE), default=1)
    worst = max((_style_bytes(pixels, layers, *_parameters(segment, samples)) for segment in styles), default=0)
    return samples * (_VALUE_BYTES * pixels + worst)


def _parameters(style: Segment, samples: int) -> tuple[bool, bytes]:
    """Whether a COD or COC segment lists precincts, and its SPcod or SPcoc (T.800 A.6.1, A.6.2)."""
    marker, value = style
    at, start = (0, 5) if marker == CODING_STYLE else (1, 2) if samples < 257 else (2, 3)
    return bool(value[at : at + 1] and value[at] & 1), value[start:]


def _style_bytes(pixels: int, layers: int, has_precincts: bool, parameters: bytes) -> int:
    """Of one component: its blocks, which lie within precincts, and its packets."""
    precincts = parameters[5:] if has_precincts else b"\xff"
    if len(parameters) < 5 or not precincts or parameters[0] > MAX_LEVELS:
        return _IMPOSSIBLE
    levels, width, height = parameters[0], parameters[1] + 2, parameters[2] + 2
    across, down = min(size & 15 for size in precincts), min(size >> 4 for size in precincts)
    block = min(width, max(across - 1, 0)) + min(height, max(down - 1, 0))
    blocks, packets = (pixels >> block) + 3 * levels + 1, (levels + 1) * layers * ((pixels >> (across + down)) + 1)
    return _BLOCK_BYTES * blocks + _PACKET_BYTES * packets


def suits_openjph(main: list[Segment]) -> bool:
    """Whether blocks are of Part 15 and the main header is plain: OpenJPH crashes where COD or QCD are missing or short."""
    steering = sorted(segment for segment in main if segment[0] not in (_COMMENT, _TILE_LENGTHS))
    if [marker for marker, _ in steering] != _MAIN_HEADER:
        return False
    capabilities, _, style, quantization = (value for _, value in steering)
    if len(style) < 10 or len(capabilities) < 6 or not quantization:
        return False
    levels, precincts = style[5], style[0] & 1
    reversible = quantization[0] & 0x1F == 0 and len(quantization) == 2 + 3 * levels
    return levels <= MAX_LEVELS and len(style) == 10 + precincts * (levels + 1) and reversible
