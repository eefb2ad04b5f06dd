"""Images that are not DICOM: bytes of PNG, JPEG, TIFF, BMP, NumPy, NIfTI, NRRD and MHA files → pictures → DICOM instances."""
