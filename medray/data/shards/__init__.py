"""Members of tar, tar.zst and zip archives, by ranges; :mod:`medray.data.archive` is the way in."""
