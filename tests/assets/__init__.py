"""Mirrors the assets room."""
