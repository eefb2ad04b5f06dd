"""The feature classes of pyradiomics, one file a class."""
