"""DICOM bytes → parsed file, header, image; nothing here knows where bytes come from."""

from medray.data.dicom.decoding import boundary, decode, inspect, open_whole

__all__ = ["boundary", "decode", "inspect", "open_whole"]
