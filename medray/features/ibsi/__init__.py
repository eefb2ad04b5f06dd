"""Features as the reference manual of the Image Biomarker Standardisation Initiative defines them (IBSI 1)."""
