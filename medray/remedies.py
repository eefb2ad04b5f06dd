"""What to do about each code of an input that is not scored, and what each flag means. Codes and flags are stable."""

from __future__ import annotations

_AGAIN = "fetch it again from its source; if it is the same there, ask the source to send it again"
_LOOK = "look at the file with a DICOM viewer and ask its source to correct it"
_RETRY = "run `medray quarantine retry` after the cause is mended"

REMEDIES = {
    # excluded: valid, but no input of an image model
    "ARRAY_SHAPE": "give 2-D arrays of finite values",
    "IMAGE_LARGER_THAN_PAD": "raise the size of the pad op, or resize before it",
    "IMAGE_MULTI_FRAME": "read its frames one by one, or build a volume from it",
    "MODEL_SCOPE": "use a bundle that was trained on this modality",
    "OBJECT_DICOMDIR": "nothing: an index of files is no image",
    "OBJECT_NOT_AN_IMAGE": "nothing: reports, plans, waveforms and documents are no images",
    "OBJECT_SEGMENTATION": "use it as a label",
    "PIXELS_FLOAT": "nothing: parametric maps are no images",
    "DUPLICATE_INSTANCE": "nothing: the same instance is scored once",
    # quarantined: a person has to look
    "ARCHIVE_BOMB": "remove it: it unpacks to far more than it holds",
    "ARCHIVE_BROKEN": _AGAIN,
    "ARCHIVE_ENCRYPTED": "unpack it with its password and store the files",
    "ARCHIVE_METHOD": "pack it again as tar, tar.zst, or zip with deflate",
    "ARCHIVE_UNSAFE_MEMBER": "look at it, and pack the shard again without it",
    "CT_NO_RESCALE": "Hounsfield units cannot be known without it: ask the source to send it again",
    "DICOMDIR_OUTSIDE": "remove it: it names files outside its own folder",
    "DICOM_BAD_UID": "ask the source to send it again with valid UIDs",
    "DICOM_BAD_VR": _LOOK,
    "DICOM_EMPTY": "remove it or fetch it again",
    "DICOM_ENCODING": _LOOK,
    "DICOM_INFLATES": "remove it: it is a decompression bomb or broken",
    "DICOM_MISSING_UID": "ask the source to send it again with its UIDs",
    "DICOM_NESTED": "remove it: no device nests sequences that deep",
    "DICOM_NOT_DICOM": "remove it from the archive, or unpack it if it is compressed",
    "DICOM_NO_TRANSFER_SYNTAX": _LOOK,
    "DICOM_TAG_ORDER": _LOOK,
    "DICOM_TOO_MANY_ELEMENTS": "remove it: no device writes that many elements",
    "DICOM_TRUNCATED": _AGAIN,
    "DICOM_UID_CONFLICT": "find out which of the objects with this SOP Instance UID is the true one and remove the others",
    "DICOM_UID_MISMATCH": _LOOK,
    "DICOM_UNKNOWN_TRANSFER_SYNTAX": "convert the file to a standard transfer syntax",
    "DICOM_UNREADABLE": _LOOK,
    "IMAGE_NO_VALID_PIXELS": _LOOK,
    "PIXELS_BITS": _LOOK,
    "PIXELS_CODEC": _AGAIN,
    "PIXELS_FRAGMENTS": _AGAIN,
    "PIXELS_FRAMES": _LOOK,
    "PIXELS_HIGH_BIT": _LOOK,
    "PIXELS_LENGTH": _LOOK,
    "PIXELS_LUT": _LOOK,
    "PIXELS_MISSING": _AGAIN,
    "PIXELS_NOT_FINITE": "check the rescale slope",
    "PIXELS_NO_PALETTE": _AGAIN,
    "PIXELS_PHOTOMETRIC": _LOOK,
    "PIXELS_RESCALE": "the pixel values would be wrong: ask the source to correct the rescale slope and intercept",
    "PIXELS_SHAPE": _LOOK,
    "PIXELS_SIZE": _AGAIN,
    "PIXELS_TOO_MANY": "split the image; larger ones are not decoded",
    "PIXELS_TRUNCATED": _AGAIN,
    "VOI_WINDOW_WIDTH": "PS3.3 C.11.2.1.2.1 asks for a window width of at least 1",
}
"""Code of an excluded or quarantined input → what to do."""

FLAGS = {
    "BURNED_IN_ANNOTATION": "the pixels hold text that may name the patient",
    "CHARSET_INVALID": "a text value is not in the character set that the file states",
    "ENCODING_DIFFERS": "the data set states value representations although its transfer syntax says not, or the reverse",
    "J2K_DEPTH_DIFFERS": "the JPEG 2000 code stream has another depth than Bits Stored",
    "J2K_SIGN_DIFFERS": "the JPEG 2000 code stream has another sign than Pixel Representation",
    "PIXELS_CONSTANT": "every pixel has the same value",
    "PREAMBLE_NOT_ZERO": "the preamble holds something; the file may also be one of another format",
    "SEQUENCE_BROKEN": "a sequence that medray does not read is broken",
    "VALUE_INVALID": "a date, age or number cannot be read and is left out",
    "WINDOW_INVALID": "the VOI window is no window and is left out",
}
"""Flag of an image that is scored all the same → what is odd."""
