"""WITH WHOM: one file per system that Outgate speaks to, the ledger, and the spool.

No Dagster here, and vendor libraries are imported inside the method that needs them.
"""
