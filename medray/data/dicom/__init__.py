"""DICOM bytes → parsed file, header, image; independent of where the bytes come from."""

from medray.data.dicom.decoding import boundary, decode, inspect, open_whole

__all__ = ["boundary", "decode", "inspect", "open_whole"]
