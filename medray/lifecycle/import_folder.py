"""A folder of an archive as ``medray import`` finds and fills it: each object whole, once, and only where it is not there yet."""

from __future__ import annotations

from medray.data import store
from medray.data.pseudonym import patient_key


def object_name(uid: str, patient_id: str) -> str:
    """Name of the object of an instance: another one where the patient becomes another."""
    return f"{uid}-{patient_key(patient_id)[:8]}.dcm" if patient_id else f"{uid}.dcm"


def names_patient(name: str) -> bool:
    """Whether the object of this name says whose it is."""
    return "-" in name


def _uid(name: str) -> str:
    return name.removesuffix(".dcm").partition("-")[0]


class Folder:
    """Objects of one folder, by the UIDs in their names.

    Args:
        uri: of the folder. What a killed run left half-written on a local disk goes.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._there: dict[str, str] = {}
        for name in store.names(uri):
            if name.startswith(".") and name.endswith(".partial"):
                store.delete(store.join(uri, name))
            else:
                self._there[_uid(name)] = name

    def find(self, uid: str, patient_id: str) -> str | None:
        """Name of the object of an instance where it is there as it would be written now.

        One of which the patient is known stays as it is where nothing is said of the patient any more.
        """
        name = self._there.get(uid)
        return name if name == object_name(uid, patient_id) or not patient_id else None

    def put(self, name: str, data: bytes) -> None:
        """Write an object; one of the same UID under another name goes then.

        Raises:
            StoreError
        """
        store.write(store.join(self.uri, name), data)
        if old := self._there.get(_uid(name)):
            store.delete(store.join(self.uri, old))
