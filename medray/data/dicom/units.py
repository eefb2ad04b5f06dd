"""The units of modality values, as the file states them: nothing is read from the size of numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from medray.data.dicom import tags
from medray.data.dicom.dataset import DataSet
from medray.data.dicom.functional import element_source
from medray.data.dicom.lookup import first_lut

CT_IMAGES = frozenset({CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage})
"""SOP classes whose values are Hounsfield units unless they state others (PS3.3 C.8.2.1, C.8.15.2)."""
# defined terms and codes of UCUM: nothing that marks up or commands
_TERM = re.compile(r"[A-Za-z0-9{\[(%/][A-Za-z0-9 _/.^*%'{}()\[\]+-]{0,31}")
_DEFINED = frozenset({"HU", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT", "OD"})  # PS3.3 C.11.1.1.2
_NO_UNITS = frozenset({"US", "UNSPECIFIED", "NORMALIZED"})
_SUV: Mapping[str, str] = {  # SUV Type (PS3.3 C.8.9.1) → code of PS3.16 CID 85 (UCUM)
    "LBM": "{SUVlbm}g/ml",
    "LBMJAMES128": "{SUVlbm(James128)}g/ml",
    "LBMJANMA": "{SUVlbm(Janma)}g/ml",
    "IBW": "{SUVibw}g/ml",
    "BSA": "{SUVbsa}cm2/ml",
}


def units_of(found: DataSet, frame: int, sop_class: str) -> str:
    """The units of the modality values of a grey image; "" where they are arbitrary or not stated.

    PET: Units (0054,1001) as stored, but the UCUM code of PS3.16 CID 85 for an SUV that is not of body weight (SUV Type).
    Others: Modality LUT Type (0028,3004) or Rescale Type (0028,1054), of the frame in an enhanced image (PS3.3 C.11.1.1.2),
    with "" for US (unspecified). CT Image Storage need not say HU: another unit is what it has to state (C.8.2.1); and US is HU
    there where the image is an original, no localizer and not of multi-energy CT, whose values are HU whatever is stated.

    Args:
        found: the data set.
        frame: counted from 0.
        sop_class: its SOP Class UID.
    """
    if tags.UNITS in found.values:
        return _of_pet(found)
    if found.items and (lut := first_lut(found, tags.MODALITY_LUT_SEQUENCE)) is not None:
        return term(lut.text(tags.MODALITY_LUT_TYPE))
    source = element_source(found, frame, tags.PIXEL_VALUE_TRANSFORMATION, tags.RESCALE_SLOPE) if found.items else found
    if tags.RESCALE_SLOPE not in source.values:
        return ""
    stated = source.text(tags.RESCALE_TYPE)
    units = term(stated)
    if units or sop_class not in CT_IMAGES or found.text(tags.MULTI_ENERGY) == "YES":
        return units
    return "HU" if not stated or (stated.upper() == "US" and _is_original(found)) else ""


def term(text: str) -> str:
    """A defined term or code as it is stored, defined terms in upper case; "" for a term without units, or an invalid code."""
    upper = text.upper()
    if upper in _NO_UNITS or not _TERM.fullmatch(text):
        return ""
    return upper if upper in _DEFINED else text


def _of_pet(found: DataSet) -> str:
    stated = term(found.text(tags.UNITS))
    if stated in ("GML", "CM2ML"):
        return _SUV.get(found.text(tags.SUV_TYPE).upper(), stated)
    return stated


def _is_original(found: DataSet) -> bool:
    """Whether values of a CT image are Hounsfield units by its Image Type (PS3.3 C.8.2.1, Rescale Intercept)."""
    kind = found.texts(tags.IMAGE_TYPE)
    return kind[:1] == ("ORIGINAL",) and "LOCALIZER" not in kind
