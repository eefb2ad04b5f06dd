"""Many byte ranges of few objects with few requests: neighbours are fetched together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medray.data import store
from medray.data.backends.troubles import changed
from medray.errors import StoreError

MAX_GAP_BYTES, MAX_SPAN_BYTES = 64 << 10, 8 << 20


@dataclass(frozen=True)
class Span:
    """Bytes [start, end) of an object; the whole object where ``end`` is None."""

    uri: str
    start: int = 0
    end: int | None = None
    etag: str = ""


def fetch(spans: Sequence[Span]) -> list[bytes | StoreError]:
    """The bytes of each span; spans of one object that nearly touch come with one request of up to 8 MiB."""
    groups = _groups(spans)
    wholes = [_whole([spans[index] for index in group]) for group in groups]
    answers = store.read_many(
        [span.uri for span in wholes],
        [None if span.end is None else (span.start, span.end) for span in wholes],
        [span.etag for span in wholes],
    )
    found: dict[int, bytes | StoreError] = {}
    for whole, group, answer in zip(wholes, groups, answers, strict=True):
        found |= {index: _part(answer, whole, spans[index]) for index in group}
    return [found[index] for index in range(len(spans))]


def _groups(spans: Sequence[Span]) -> list[list[int]]:
    groups: list[list[int]] = []
    open_end: int | None = None
    for index in sorted(range(len(spans)), key=lambda index: (spans[index].uri, spans[index].etag, spans[index].start)):
        span = spans[index]
        first = spans[groups[-1][0]] if groups else None
        if (
            first is not None
            and open_end is not None
            and span.end is not None
            and (first.uri, first.etag) == (span.uri, span.etag)
            and span.start <= open_end + MAX_GAP_BYTES
            and max(span.end, open_end) - first.start <= MAX_SPAN_BYTES
        ):
            groups[-1].append(index)
            open_end = max(span.end, open_end)
        else:
            groups.append([index])
            open_end = span.end
    return groups


def _whole(spans: list[Span]) -> Span:
    first = spans[0]
    return first if first.end is None else Span(first.uri, first.start, max(span.end or 0 for span in spans), first.etag)


def _part(answer: bytes | StoreError, whole: Span, span: Span) -> bytes | StoreError:
    if isinstance(answer, StoreError) or whole == span:
        return answer
    begin, end = span.start - whole.start, (span.end or 0) - whole.start
    return answer[begin:end] if len(answer) >= end else changed(span.uri)
