"""DICOMweb servers (PS3.18) as a file system: ``dicomweb://host:port/root`` (http) and ``dicomwebs://`` (https).

An instance is ``dicomweb://host/root/studies/STUDY/series/SERIES/instances/INSTANCE``; a root, a study or a series is a folder.
Listing is by QIDO-RS, page by page; reading is by WADO-RS in the transfer syntax that is stored. Servers state no sizes (-1); an
instance that changes gets another UID (PS3.3 C.12.1.1.1), so the UID is the etag. Ranges are cut out of the whole instance.
``MEDRAY_DICOMWEB_USER`` and ``MEDRAY_DICOMWEB_PASSWORD``, or ``MEDRAY_DICOMWEB_TOKEN`` (bearer), say who asks;
``REQUESTS_CA_BUNDLE`` names a private certificate authority.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any
from urllib.parse import quote

import fsspec
import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError

from medray.data.backends.settings import retry_s, timeout_s

PAGE, THREADS = 1000, 8
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_PLACE = re.compile(
    r"(?P<root>dicomwebs?://.+?)(?:/studies(?:/(?P<study>[^/]+)(?:/series/(?P<series>[^/]+)(?:/instances/(?P<sop>[^/]+))?)?)?)?"
)
_DICOM = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_JSON = {"Accept": "application/dicom+json"}
_PASSING = {429, 500, 502, 503, 504}
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')


class DicomWeb(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Instances as files; read only."""

    protocol = ("dicomweb", "dicomwebs")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.rstrip("/")

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=64))
        return session

    def _get(self, uri: str, headers: dict[str, str], query: dict[str, str | int] | None = None) -> requests.Response:
        """One answer.

        Raises:
            PermissionError, FileNotFoundError, OSError
        """
        user, token = os.environ.get("MEDRAY_DICOMWEB_USER"), os.environ.get("MEDRAY_DICOMWEB_TOKEN")
        answer = _patient(
            lambda: self._session.get(
                uri.replace("dicomweb", "http", 1),
                params=query,
                headers=headers | ({"Authorization": f"Bearer {token}"} if token else {}),
                auth=(user, os.environ.get("MEDRAY_DICOMWEB_PASSWORD", "")) if user and not token else None,
                timeout=timeout_s(),
            )
        )
        if answer.status_code in (401, 403):
            raise PermissionError(f"status code: {answer.status_code}")
        if answer.status_code in (404, 410):
            raise FileNotFoundError(uri)
        if answer.status_code not in (200, 204):
            raise OSError(f"status code: {answer.status_code}")
        return answer

    def find(self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **_: Any) -> Any:
        """Every instance under a root, study or series, as fsspec defines it."""
        place = _parts(path)
        if place["study"]:
            found = list(self._instances(place["root"], place["study"], place["series"], place["sop"]))
        else:
            studies = [quote(_uid(item, _STUDY), safe="") for item in self._pages(f"{place['root']}/studies", _STUDY)]
            with ThreadPoolExecutor(THREADS) as pool:
                found = [uri for uris in pool.map(lambda uid: list(self._instances(place["root"], uid)), studies) for uri in uris]
        return {uri: self.info(uri) for uri in found} if detail else found

    def _instances(self, root: str, study: str, series: str | None = None, sop: str | None = None) -> Iterator[str]:
        base = f"{root}/studies/{study}" + (f"/series/{series}" if series else "")
        query = {"includefield": _SERIES} | ({"SOPInstanceUID": sop} if sop else {})
        for item in self._pages(f"{base}/instances", _INSTANCE, query):
            uid = quote(_uid(item, _SERIES), safe="") or series
            yield f"{root}/studies/{study}/series/{uid}/instances/{quote(_uid(item, _INSTANCE), safe='')}"

    def _pages(self, uri: str, key: str, query: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """All results of a search; a server may give fewer than asked for, and the end is where nothing new comes."""
        seen: set[str] = set()
        while True:
            answer = self._get(uri, _JSON, {**(query or {}), "limit": PAGE, "offset": len(seen)})
            items = answer.json() if answer.status_code == 200 and answer.content else []
            new = [item for item in items if _uid(item, key) not in seen]
            if not new:
                return
            seen |= {_uid(item, key) for item in new}
            yield from new

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size and type of an instance without a request, as fsspec defines it."""
        sop = _parts(path)["sop"]
        if sop:
            return {"name": path, "size": -1, "type": "file", "ETag": sop}
        return {"name": path, "size": 0, "type": "directory"}

    def exists(self, path: str, **_: Any) -> bool:
        """Whether there is an instance; a root always exists."""
        return not _parts(path)["study"] or bool(self.find(path))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The file of an instance, or its bytes [start, end)."""
        if not _parts(path)["sop"]:
            raise IsADirectoryError(f"{path} is not an instance")
        answer = self._get(path, _DICOM)
        return _file_of(answer.content, answer.headers.get("Content-Type", ""))[slice(start, end)]


def _patient(ask: Callable[[], requests.Response]) -> requests.Response:
    """Try again while the server is busy or breaks off, for MEDRAY_STORE_RETRY_S seconds; return the last answer.

    Raises:
        OSError
    """
    deadline, pause_s = time.monotonic() + retry_s(), 0.1
    while True:
        late = time.monotonic() + pause_s > deadline
        try:
            answer = ask()
            if late or answer.status_code not in _PASSING:
                return answer
        except (requests.ConnectionError, requests.Timeout, ChunkedEncodingError):
            if late:
                raise
        time.sleep(random.uniform(pause_s / 2, pause_s))
        pause_s = min(2 * pause_s, 5.0)


def _parts(path: str) -> dict[str, Any]:
    found = _PLACE.fullmatch(path)
    return found.groupdict() if found else {"root": path, "study": None, "series": None, "sop": None}


def _uid(item: dict[str, Any], tag: str) -> str:
    values = item.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _file_of(body: bytes, content_type: str) -> bytes:
    """The one part of a multipart/related answer (RFC 2046), or the answer as it is.

    Raises:
        OSError: it has no whole part, or several.
    """
    boundary = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or boundary is None:
        return body
    mark = b"--" + boundary[1].encode()
    begin, end = body.find(b"\r\n\r\n", body.find(mark)), body.rfind(b"\r\n" + mark + b"--")
    if begin < 0 or end < begin or (b"\r\n" + mark + b"\r\n") in body[begin:end]:
        raise OSError("the server's answer does not hold one whole instance")
    return body[begin + 4 : end]
