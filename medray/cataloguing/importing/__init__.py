"""``medray import``: PNG, JPEG, TIFF, NIfTI… → DICOM."""
