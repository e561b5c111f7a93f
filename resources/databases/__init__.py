"""Databases: read by window in one snapshot, written in one transaction."""
