"""Measurements of the whole product: memory, what a backfill costs, speed. Figures are ratios, taken in one run.

Nothing here asserts a time; what must hold on every machine is tested under tests/.
"""
