"""ALL TOGETHER: the declared exports, Dagster's definitions and the command line."""
