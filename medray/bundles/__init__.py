"""Bundles: locked models with their specs and decision, their registry, and embeddings."""
