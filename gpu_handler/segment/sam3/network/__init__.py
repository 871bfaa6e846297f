"""The model: stock weights, called in our own order."""
