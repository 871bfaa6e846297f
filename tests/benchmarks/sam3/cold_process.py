"""A process that starts as a worker does, and prints as JSON when each stage was reached.

`python -m tests.benchmarks.sam3.cold_process ours|stock FOLDER DEVICE fp32|bf16 eager|compiled
STARTED`, where STARTED is the parent's clock just before: the interpreter's own start counts.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Stage = tuple[str, float]

WORDS = 8
"""Tokens of the one phrase that is asked for."""


def main() -> None:
    way, folder, device, dtype, form, started = sys.argv[1:]
    stages = {"ours": _ours, "stock": _stock}[way](Path(folder), device, dtype, form)
    print(json.dumps({name: at - float(started) for name, at in stages}))


def _ours(folder: Path, kind: str, dtype_name: str, form: str) -> Iterator[Stage]:
    import torch

    yield "torch", time.time()
    from gpu_handler.segment.sam3.network.compiling import Compilation
    from gpu_handler.segment.sam3.network.detector import Detector
    from gpu_handler.segment.sam3.weights.checkpoint import open_folder
    from gpu_handler.segment.sam3.weights.loading import load_model

    yield "imports", time.time()
    device = torch.device(kind)
    dtype = torch.bfloat16 if dtype_name == "bf16" else torch.float32
    detector = Detector(load_model(open_folder(folder), device, dtype, with_text=False))
    yield "loaded", time.time()
    compilation = Compilation(detector, words=WORDS) if form == "compiled" else None
    if compilation:
        compilation.start()
    side, width = detector.image_size, detector.places.shape[-1]
    text = torch.randn(1, WORDS, width, device=device).to(dtype)
    mask = torch.ones(1, WORDS, dtype=torch.bool, device=device)
    first = torch.zeros(1, dtype=torch.int64, device=device)

    def photo() -> None:
        pixels = torch.randint(0, 256, (1, side, side, 3), dtype=torch.uint8).to(device)
        with torch.inference_mode():
            found = detector.decode(detector.encode(pixels), text, mask, first, first)
            found.masks.cpu()

    yield from _photos(photo)
    if compilation and compilation.wait() and compilation.ready:
        yield "compiled", time.time()


def _stock(folder: Path, kind: str, dtype_name: str, _: str) -> Iterator[Stage]:
    import torch

    yield "torch", time.time()
    from transformers.models.sam3.modeling_sam3 import Sam3Model

    yield "imports", time.time()
    dtype = torch.bfloat16 if dtype_name == "bf16" else torch.float32
    model = Sam3Model.from_pretrained(folder, dtype=dtype).eval()
    model.to(torch.device(kind))  # pyright: ignore[reportArgumentType]  # torch's own overload
    yield "loaded", time.time()
    side = model.config.image_size
    ids = torch.ones(1, 32, dtype=torch.int64, device=model.device)

    def photo() -> None:
        pixels = torch.rand(1, 3, side, side).to(model.device)
        with torch.no_grad():
            model(pixel_values=pixels, input_ids=ids, attention_mask=ids).pred_masks.cpu()

    yield from _photos(photo)


def _photos(photo: Callable[[], None]) -> Iterator[Stage]:
    for stage in ("first photo", "next photo"):
        photo()
        yield stage, time.time()


if __name__ == "__main__":
    main()
