"""SAM3 through transformers: every instance of every concept in every photo.

The only package of the handler that imports torch, and nothing imports it before it is chosen.
"""
