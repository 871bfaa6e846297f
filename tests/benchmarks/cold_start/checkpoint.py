"""The weights that are started with: random numbers, written by the product's own `prepare`."""

from pathlib import Path
from typing import Literal

import torch
from transformers.utils.logging import disable_progress_bar

from gpu_handler.segment.sam3.prepare import Plan, prepare
from tests.benchmarks.sam3.sizes import Size, configuration, random_model
from tests.checkpoints import write_checkpoint


def prepared(folder: Path, size: Literal["tiny", "full"]) -> Path:
    """A folder in bfloat16: 2 MB, or 1.7 GB as for facebook/sam3's detector; there without the
    precomputed words, which a CPU would compute for minutes."""
    disable_progress_bar()
    source, output = folder / "source", folder / "sam3"
    with torch.no_grad():
        model = random_model(configuration(Size(size)), torch.device("cpu"))
        if size == "full":
            for parameter in model.parameters():
                parameter.data = parameter.data.bfloat16()
            return write_checkpoint(output, model)
    write_checkpoint(source, model)
    prepare(Plan(model=str(source), output=output, verify=False), None)
    return output
