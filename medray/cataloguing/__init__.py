"""The archive's side: ingest, import, series, quarantine, queries."""
