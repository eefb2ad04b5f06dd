"""DICOM bytes → header, image, stored values; nothing here knows where bytes come from."""

from medray.data.dicom.decoding import boundary, decode, inspect, open_file

__all__ = ["boundary", "decode", "inspect", "open_file"]
