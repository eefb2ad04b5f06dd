"""What lies in archives, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from medray.data import store
from medray.data.catalog import Catalog
from medray.data.store import ObjectInfo


def pages_of(sources: Iterable[str], catalog: Catalog) -> dict[str, Iterator[list[ObjectInfo]]]:
    """The pages of objects of each archive, sorted by URI, without the files of the catalog; archives inside another are its."""
    return {source: _ahead(_without(catalog, store.pages(source))) for source in _disjoint(sources)}


def _without(catalog: Catalog, pages: Iterable[list[ObjectInfo]]) -> Iterator[list[ObjectInfo]]:
    """The pages without the files of a catalog that lies in its own archive."""
    own = (catalog.instances_uri + "/", catalog.labels_uri + "/")
    for page in pages:
        if found := [info for info in page if not info.uri.startswith(own)]:
            yield found


def _ahead(pages: Iterator[list[ObjectInfo]]) -> Iterator[list[ObjectInfo]]:
    """The pages of a listing; the next one is fetched while the current one is processed."""
    pool = ThreadPoolExecutor(1)
    first = pool.submit(next, pages, None)

    def fetched() -> Iterator[list[ObjectInfo]]:
        following = first
        with pool:
            while (page := following.result()) is not None:
                following = pool.submit(next, pages, None)
                yield page

    return fetched()


def _disjoint(sources: Iterable[str]) -> list[str]:
    """The sources without those that lie in another."""
    ordered = sorted({store.normalise(source) for source in sources})
    return [one for one in ordered if not any(one.startswith(other + "/") for other in ordered)]
