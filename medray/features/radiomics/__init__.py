"""Radiomics features with the names and values of pyradiomics."""
