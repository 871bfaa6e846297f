"""Whole pictures on the CPU: OpenCV where it has a pass for it, fused loops for the rest."""

from gpu_handler.backends.cpu.backend import CpuBackend

__all__ = ["CpuBackend"]
