"""The least a device must do: operations and bytes, counted on the modules themselves.

Counting runs the modules on torch's meta device: real shapes, no arithmetic. Operations are those
of matrix products, convolutions and attention, a multiplication and an addition as two.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from msgspec import Struct
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode  # a mode that sees every operation
from torch.utils.flop_counter import FlopCounterMode
from transformers import Sam3Config
from transformers.models.sam3.modeling_sam3 import Sam3Model

from gpu_handler.segment.sam3.network.detector import Detector, Features
from tests.benchmarks.sam3.device import Ceilings, dtype_name
from tests.benchmarks.sam3.ours import WORDS
from tests.benchmarks.sam3.sizes import PHRASE_TOKENS

META = torch.device("meta")


class Work(Struct, frozen=True):
    """What one call must do: operations, bytes of weights, bytes of arguments and results.

    Operations and arguments grow with the batch, weights are read once for all of it.
    """

    flops: int
    weights: int
    moved: int

    @property
    def bytes(self) -> int:
        return self.weights + self.moved

    def floor(self, ceilings: Ceilings, dtype: torch.dtype, batch: int = 1) -> float:
        """Seconds for each of `batch`, at the rates that the device reaches."""
        arithmetic = self.flops / ceilings.flops[dtype_name(dtype)]
        memory = (self.weights / batch + self.moved) / ceilings.bandwidth
        return max(arithmetic, memory)


class Works(Struct, frozen=True):
    """Vision for a photo and decoding for a pair, of the stock model and of ours."""

    stock_vision: Work
    stock_pair: Work
    vision: Work
    pair: Work


def count_works(config: Sam3Config, dtype: torch.dtype) -> Works:
    with META:
        model = Sam3Model(copy.deepcopy(config)).eval().requires_grad_(False)
    for weight in model.parameters():
        weight.data = weight.data.to(dtype)
    _without_host_arithmetic(model)
    side, width = config.image_size, model.detr_encoder.config.hidden_size
    pixels = torch.empty(1, 3, side, side, device=META)
    text = torch.empty(1, PHRASE_TOKENS, width, device=META, dtype=dtype)
    stock_vision, seen = _counted(lambda: model.get_vision_features(pixels), [pixels])
    stock_pair, _ = _counted(lambda: _decode_stock(model, seen, text), [*_tensors(seen), text])
    detector = Detector(model).to(META)
    photos = torch.empty(1, side, side, 3, device=META, dtype=torch.uint8)
    vision, features = _counted(lambda: detector.encode(photos), [photos])
    words = text[:, :WORDS]
    pair, _ = _counted(lambda: _decode(detector, features, words), [*features, words])
    return Works(stock_vision, stock_pair, vision, pair)


def _decode_stock(model: Sam3Model, seen: Any, text: Tensor) -> object:
    """Without a text mask: building it would look at its values."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    # The annotation of the argument is wrong: it is an output object, see `forward`.
    words = cast(Any, BaseModelOutputWithPooling(pooler_output=cast(Any, text)))
    return model(vision_embeds=seen, text_embeds=words)


def _decode(detector: Detector, features: Features, text: Tensor) -> object:
    nothing = torch.zeros(1, dtype=torch.int64, device=META)
    mask = torch.ones(text.shape[:2], dtype=torch.bool, device=META)
    return detector.decode(features, text, mask, nothing, nothing)


def _without_host_arithmetic(model: Sam3Model) -> None:
    """The stock decoder makes its grid from the values of a tensor, and meta tensors have none."""
    backbone = model.vision_encoder.backbone.config
    steps = torch.empty(backbone.image_size // backbone.patch_size, device=META)

    def coords(*_: object, dtype: torch.dtype, **__: object) -> tuple[Tensor, Tensor]:
        return steps.to(dtype), steps.to(dtype)

    cast(Any, model.detr_decoder)._get_coords = coords


def _counted(call: Callable[[], Any], arguments: Iterable[Tensor]) -> tuple[Work, Any]:
    with torch.no_grad(), FlopCounterMode(display=False) as counter, _Touched() as touched:
        answer = call()
    moved = sum(map(_size, arguments)) + sum(map(_size, _tensors(answer)))
    return Work(counter.get_total_flops(), touched.bytes, moved), answer


def _tensors(value: object) -> list[Tensor]:
    """The tensors of an output, of those nested in it too."""
    match value:
        case Tensor():
            return [value]
        case dict():
            return _tensors(tuple(cast("dict[str, object]", value).values()))
        case tuple() | list():
            return [t for part in cast("tuple[object, ...]", value) for t in _tensors(part)]
        case _:
            return []


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


class _Touched(TorchDispatchMode):
    """Collects the parameters that any operation reads: those left out need not be moved."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[int, int] = {}

    @property
    def bytes(self) -> int:
        return sum(self._seen.values())

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        for tensor in _tensors(args):
            if isinstance(tensor, nn.Parameter):
                self._seen[id(tensor)] = _size(tensor)
        return func(*args, **(kwargs or {}))
