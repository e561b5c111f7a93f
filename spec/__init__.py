"""WHAT: the language of an export. Pydantic models, filters to SQL, names, dates.

No I/O and no Dagster here: a declaration comes in as text and goes out as a model, an expression or an error.
"""
