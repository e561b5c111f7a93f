"""The ledger's contract: one suite, on SQLite and on a real PostgreSQL."""
