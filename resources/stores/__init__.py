"""Stores: places that take files, invisibly first and then all at once."""
