"""The sample: made-up data of a loyalty programme, and the walk through the product that uses it."""
