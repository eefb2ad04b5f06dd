"""Storage backends and their errors; :mod:`medray.data.store` is the way in."""
