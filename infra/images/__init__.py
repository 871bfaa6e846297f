"""Checks of the container images where no container engine is at hand."""
