"""One file for each preprocessing op."""
