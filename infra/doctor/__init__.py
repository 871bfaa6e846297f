"""A look at a deployment from outside, with one photo, and a sentence for whatever is wrong."""
