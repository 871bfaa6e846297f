"""Whole pictures as tensors of torch, on a GPU or, for tests, on the CPU."""

from gpu_handler.backends.tensors.backend import TensorBackend

__all__ = ["TensorBackend"]
