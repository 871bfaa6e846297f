"""Segmentation by ordinary image processing, without a learned model."""

from gpu_handler.segment.classical.engine import ClassicalSegmenter

__all__ = ["ClassicalSegmenter"]
