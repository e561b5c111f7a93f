"""Databases against real servers: the conformance suite that every one inherits, and what is one database's own."""
