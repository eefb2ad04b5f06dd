"""A folder of an archive that ``medray import`` fills: each object is written once, whole, if it is not there yet."""

from __future__ import annotations

from medray.data import store
from medray.data.pseudonym import patient_key


def object_name(uid: str, patient_id: str) -> str:
    """Name of the object of an instance; it changes with the patient."""
    return f"{uid}-{patient_key(patient_id)[:8]}.dcm" if patient_id else f"{uid}.dcm"


def names_patient(name: str) -> bool:
    """Whether the name of the object holds a patient."""
    return "-" in name


def _uid(name: str) -> str:
    return name.removesuffix(".dcm").partition("-")[0]


class Folder:
    """Objects of one folder, by the UIDs in their names.

    Args:
        uri: of the folder.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._there: dict[str, str] = {}
        self._half_written: set[str] = set()
        for name in store.names(uri):
            if name.startswith(".") and name.endswith(".partial"):
                self._half_written.add(name)
            else:
                self._there[_uid(name)] = name

    def find(self, uid: str, patient_id: str) -> str | None:
        """Name of the object of an instance where it is there as it would be written now.

        A patient that is known stays where the label table no longer names one.
        """
        name = self._there.get(uid)
        return name if name == object_name(uid, patient_id) or not patient_id else None

    def tidy(self) -> None:
        """Remove files that a killed run left half-written on a local disk; a file of a run at work is renamed by then.

        Raises:
            StoreError
        """
        for name in self._half_written.intersection(store.names(self.uri)) if self._half_written else ():
            store.delete(store.join(self.uri, name))

    def put(self, name: str, data: bytes) -> None:
        """Write an object; one of the same UID under another name goes then.

        Raises:
            StoreError
        """
        store.write(store.join(self.uri, name), data)
        if old := self._there.get(_uid(name)):
            store.delete(store.join(self.uri, old))
