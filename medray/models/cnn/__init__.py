"""Model family ``cnn``."""
