"""HOW: one run of an export, from the partition key to the receipt, and the asset graph that shows it."""
