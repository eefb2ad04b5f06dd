"""Bundles: locked models with their specs and decision, their registry, and what they give other parts."""
