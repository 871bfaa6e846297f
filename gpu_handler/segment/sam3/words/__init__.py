"""Phrases: tokens, features, and the shapes in which batches read them."""
