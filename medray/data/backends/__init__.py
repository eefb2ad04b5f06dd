"""Kinds of stores and their errors; :mod:`medray.data.store` is the way in."""
