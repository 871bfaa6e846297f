"""Sample albums made by code, each photo with its exact ground truth."""

from infra.samples.album import ALBUMS, album
from infra.samples.logits import simulated_logits
from infra.samples.photo import Sample, encode_jpeg

__all__ = ["ALBUMS", "Sample", "album", "encode_jpeg", "simulated_logits"]
