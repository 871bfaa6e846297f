"""A learned inpainter, where somebody supplies its weights."""
