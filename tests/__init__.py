"""The tests: they mirror the rooms, one file beside each file of code; servers/ starts the real servers that they
speak to.
"""
