"""Model family ``unet``: see ``family``."""
