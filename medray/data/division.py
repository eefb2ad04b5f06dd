"""Planes of one geometry → the parts that each hold every place once, and by which attributes; pure functions on arrays.

Two images at one place belong to different stacks. An attribute divides planes where each of its values holds every place equally
often; what a value then still holds more than once is divided by the other attributes. A counter of images or rotations divides
nothing: its values hold a few places each. The order of instance numbers alone never divides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medray.data.attributes import Labels, Role, clusters, labels_of
from medray.data.geometry import SAME_PLACE_MM, STEP_TOLERANCE, Trouble
from medray.data.plane import Plane
from medray.types import Float64, Int64

_DEEPEST = 2  # how many attributes in a row are tried against each other, rather than the first one taken that fits
_MOST_RETRIES = 20  # of a series in all; a hostile one has attributes that cross and settle nothing
_CLUSTERS = 64  # of numbers that scatter
_PAUSE = 2.0  # times the longest between two images of a pass
_EQUAL_STEPS = 1.1
_CONTIGUOUS = 1.1  # slices that are at most so many steps thick leave no room for others between them

By = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Part:
    """Planes that make up one stack.

    Attributes:
        members: int64, indices into the planes, rising.
        by: the attributes that tell it from others, and its values of them.
        trouble: what is wrong where planes at one place are not divided; VOLUME_SEVERAL_STACKS where several such parts hold the
            places once each, by the order of instance numbers alone.
    """

    members: Int64
    by: By = ()
    trouble: Trouble | None = None


@dataclass
class _Scene:
    """Planes; int64 and float64 (planes,): their places and distances along the normal; the attributes in which they differ.

    ``retries`` counts down the attributes that fitted, settled nothing and may be followed by another try.
    """

    planes: Sequence[Plane]
    places: Int64
    distances: Float64
    labels: tuple[Labels, ...]
    retries: int = _MOST_RETRIES


def divide(planes: Sequence[Plane], places: Int64, distances_mm: Float64) -> list[Part]:
    """Divide planes of equal orientation, size, spacing and frame of reference.

    Args:
        planes: in order of instance numbers.
        places: int64 (planes,), of :func:`medray.data.geometry.places`.
        distances_mm: float64 (planes,), along the normal.

    Returns:
        The parts in the order of their values. Each holds a place once, but for copies of single slices, which nothing divides.
    """
    scene = _Scene(planes, places, distances_mm, tuple(labels_of(planes)))
    return _parts(scene, np.arange(len(planes)), (), scene.labels, 0)


def _parts(scene: _Scene, members: Int64, by: By, unused: tuple[Labels, ...], depth: int) -> list[Part]:
    if len(members) == 1:
        return [Part(members, by)]
    places = np.unique(scene.places[members], return_inverse=True)[1].reshape(-1)
    counts = np.bincount(places)
    if counts.max() == 1:
        return _apart(scene, members, by, unused)
    best: list[Part] = []
    for labels in unused:
        codes = _dividing(labels, members, places, counts)
        if codes is None:
            continue
        rest = tuple(one for one in unused if one is not labels)
        found = [
            part for some, more in _split(labels, members, codes) for part in _parts(scene, some, by + more, rest, depth + 1)
        ]
        if all(part.trouble is None for part in found):
            return found
        best = best or (found if _uniform(counts) else [])
        if scene.retries == 0 or (best and depth >= _DEEPEST):
            break
        scene.retries -= 1
    return best or _unsettled(members, by, places, counts, unused)


def _uniform(counts: Int64) -> bool:
    return bool(counts.min() == counts.max())


def _split(labels: Labels, members: Int64, codes: Int64) -> Iterator[tuple[Int64, By]]:
    order = np.argsort(codes, kind="stable")
    for some in np.split(members[order], np.flatnonzero(np.diff(codes[order])) + 1):
        yield some, ((labels.attribute.name, labels.shown(some)),)


def _dividing(labels: Labels, members: Int64, places: Int64, counts: Int64) -> Int64 | None:
    """Codes of the members that divide them, or None.

    Where every place is held equally often, so must each value hold it. Where not (the last of several passes was aborted, or
    passes overlap), all values must have a place in common: those of a counter that goes on along the normal have none.
    """
    uniform = _uniform(counts)
    for codes in _candidates(labels, members, places, int(counts.max())):
        if int(codes.max()) == 0:
            continue
        if _holds_all(codes, places) if uniform else _meet(codes, places):
            return codes
    return None


def _candidates(labels: Labels, members: Int64, places: Int64, most: int) -> Iterator[Int64]:
    yield np.unique(labels.codes[members], return_inverse=True)[1].reshape(-1)
    if labels.numbers is None or np.isnan(numbers := labels.numbers[members]).any():
        return
    if labels.attribute.clock:
        sweeps = _sweeps(numbers, places)
        if sweeps is not None:
            yield sweeps
    else:
        yield from _scattered(numbers, most)


def _holds_all(codes: Int64, places: Int64) -> bool:
    """Whether each code holds each place, and every place equally often."""
    values, held = int(codes.max()) + 1, int(places.max()) + 1
    if values * held > len(codes):
        return False
    table = np.bincount(codes * held + places, minlength=values * held).reshape(values, held)
    return bool((table == table[:, :1]).all() and table.min() > 0)


def _meet(codes: Int64, places: Int64) -> bool:
    """Whether the ranges of places of all codes have one in common."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    held = places[order]
    return bool(np.minimum.reduceat(held, starts).max() <= np.maximum.reduceat(held, starts).min())


def _scattered(numbers: Float64, most: int) -> Iterator[Int64]:
    """Codes of numbers that lie in 2 to ``most`` clusters, each narrower than any gap between two."""
    values, back = np.unique(numbers, return_inverse=True)
    gaps = np.diff(values)
    widest = np.argsort(-gaps, kind="stable")
    for count in range(min(most, _CLUSTERS, len(values)), 1, -1):
        cuts = np.sort(widest[: count - 1])
        edges = np.array([-1, *cuts, len(values) - 1])
        if (values[edges[1:]] - values[edges[:-1] + 1]).max() < gaps[cuts].min():
            yield np.searchsorted(cuts, np.arange(len(values)), side="left")[back.reshape(-1)]


def _sweeps(times: Float64, places: Int64) -> Int64 | None:
    """Codes of passes that follow each other in time, each over every place once, with a pause; the last may have ended early.

    Without a pause the time only numbers the images. A pass that ended early must have visited the places in the order of the
    first, so that a slice that was lost shifts nothing.
    """
    order = np.lexsort((places, times))
    visited, ordered, held = places[order], times[order], int(places.max()) + 1
    gaps, between = np.diff(ordered), np.arange(held, len(order), held) - 1
    if len(between) == 0 or gaps[between].min() <= _PAUSE * np.delete(gaps, between).max(initial=0.0):
        return None
    whole = visited[: len(order) // held * held].reshape(-1, held)
    complete = (np.sort(whole, axis=1) == np.arange(held)).all()
    if not complete or (len(order) % held and not (visited == np.resize(visited[:held], len(order))).all()):
        return None
    codes = np.empty(len(order), dtype=np.int64)
    codes[order] = np.arange(len(order)) // held
    return codes


def _apart(scene: _Scene, members: Int64, by: By, unused: tuple[Labels, ...]) -> list[Part]:
    """Planes at different positions: one part, unless a contrast differs or passes interleave."""
    for labels in unused if len(members) > 1 else ():
        codes = _kept_apart(scene, labels, members)
        if codes is not None:
            rest = tuple(one for one in unused if one is not labels)
            return [part for some, more in _split(labels, members, codes) for part in _apart(scene, some, by + more, rest)]
    return [Part(members, by)]


def _kept_apart(scene: _Scene, labels: Labels, members: Int64) -> Int64 | None:
    attribute = labels.attribute
    if attribute.loose and labels.numbers is not None:
        codes = clusters(labels.numbers[members], attribute.loose, attribute.absolute)
        if codes.min() < codes.max():
            return codes
    codes = np.unique(labels.codes[members], return_inverse=True)[1].reshape(-1)
    for some in (codes, _paused(labels, members)):
        if some is not None and 1 <= int(some.max()) < len(members) // 2 and _interleave(scene, labels, members, some):
            return some
    return None


def _paused(labels: Labels, members: Int64) -> Int64 | None:
    """Codes of times of day with pauses between them, longer than any within one code."""
    if not labels.attribute.clock or labels.numbers is None or np.isnan(numbers := labels.numbers[members]).any():
        return None
    times, back = np.unique(numbers, return_inverse=True)
    gaps = np.diff(times)
    longest = np.sort(gaps)[::-1]
    drops = np.flatnonzero(longest[:-1] > _PAUSE * longest[1:])
    if len(drops) == 0:
        return None
    codes = np.append(0, np.cumsum(gaps >= longest[drops[0]]))
    return np.asarray(codes[back.reshape(-1)], dtype=np.int64)


def _interleave(scene: _Scene, labels: Labels, members: Int64, codes: Int64) -> bool:
    """Whether values are passes over one range of places, each evenly spaced by itself.

    Together they may be evenly spaced, too: then the passes must have the same step, and overlap by half of the shorter one.
    """
    order = np.lexsort((scene.distances[members], codes))
    distances = scene.distances[members][order]
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    counts = np.diff(np.append(starts, len(order)))
    low, high = distances[starts], distances[starts + counts - 1]
    if low.max() > high.min() + SAME_PLACE_MM:
        return False
    steps = (high - low) / np.maximum(counts - 1, 1)
    nth = np.arange(len(order)) - np.repeat(starts, counts)
    off = np.abs(distances - np.repeat(low, counts) - np.repeat(steps, counts) * nth)
    if (off > STEP_TOLERANCE * np.repeat(steps, counts) + SAME_PLACE_MM).any():
        return False
    equal = bool(counts.min() > 1 and steps.max() <= _EQUAL_STEPS * steps.min())
    together = np.sort(distances)
    if not _even(together):
        return equal or int(counts.max()) > 2
    half = (high - low).min() / 2
    overlap = high.min() - low.max()
    return bool(equal and overlap >= half) and not _one_pass(scene, labels, members, float(together[1] - together[0]))


def _even(distances: Float64) -> bool:
    mean = (distances[-1] - distances[0]) / (len(distances) - 1)
    return bool(np.abs(distances - distances[0] - mean * np.arange(len(distances))).max() <= STEP_TOLERANCE * mean)


def _one_pass(scene: _Scene, labels: Labels, members: Int64, step_mm: float) -> bool:
    """Whether evenly spaced slices are of one MR volume all the same, of which every second was taken first: they only touch."""
    timed = labels.attribute.role is Role.TIMING or labels.attribute.name == "acquisition_number"
    if not timed or scene.planes[int(members[0])].modality != "MR":
        return False
    thickness = [scene.planes[index].slice_thickness_mm for index in members.tolist()]
    return all(one is not None and one <= _CONTIGUOUS * step_mm for one in thickness)


def _unsettled(members: Int64, by: By, places: Int64, counts: Int64, unused: Sequence[Labels]) -> list[Part]:
    """Parts that only the order of instance numbers tells apart, if most places are held several times; else copies of slices."""
    differ = [labels.attribute.name for labels in unused if len(np.unique(labels.codes[members])) > 1]
    several = int((counts > 1).sum())
    detail = f"{several} of {len(counts)} places hold more than one slice, and "
    detail += (
        f"none of what differs divides them ({', '.join(differ)})" if differ else "nothing that is read differs between them"
    )
    if 2 * several <= len(counts):
        return [Part(members, by, Trouble("VOLUME_DUPLICATE_SLICE", detail))]
    order = np.argsort(places, kind="stable")
    starts = np.cumsum(counts) - counts
    turns = np.empty(len(members), dtype=np.int64)
    turns[order] = np.arange(len(members)) - np.repeat(starts, counts)
    trouble = Trouble("VOLUME_SEVERAL_STACKS", detail)
    return [Part(members[turns == turn], by, trouble) for turn in range(int(counts.max()))]
