"""Made-up data of a loyalty programme in the twelve data models of Antavo's Export module, for the recipe `antavo`."""
