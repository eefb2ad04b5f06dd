"""Texture matrices: counts of grey levels and their neighbours, one file a matrix."""
