"""What a run measures with: the device, the models in every dtype, the inputs. Built once."""

import copy
import datetime

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from torch import Tensor
from transformers import Sam3Config
from transformers.models.sam3.modeling_sam3 import Sam3Model

from tests.benchmarks.sam3.device import (
    Ceilings,
    Device,
    describe,
    dtype_name,
    measure_ceilings,
    random_pictures,
)
from tests.benchmarks.sam3.floors import Works, count_works
from tests.benchmarks.sam3.ours import WORDS, Pairs, Way, compiled, eager
from tests.benchmarks.sam3.report import ColdRow, Report
from tests.benchmarks.sam3.rounds import Budget
from tests.benchmarks.sam3.sizes import Size, configuration, random_model, random_phrases
from tests.benchmarks.sam3.stock import Stock

PHRASES = 16
STOCK_DTYPES = (torch.float32, torch.bfloat16)

COMPILING = 0.45
"""The share of the time that compiling may take, before the rest goes on without it."""


class Plan(Struct, frozen=True):
    """How much is measured of each part."""

    batches: tuple[int, ...]
    pairs: tuple[int, ...]
    concepts: tuple[int, ...]
    rounds: int


class Setting(Struct, frozen=True):
    """`stocks` and `ways` by name, the stock one in float32 first."""

    size: Size
    config: Sam3Config
    device: Device
    plan: Plan
    budget: Budget
    report: Report
    ceilings: Ceilings
    works: dict[torch.dtype, Works]
    pictures: NDArray[np.uint8]
    stocks: dict[str, Stock]
    ways: dict[str, Way]

    @property
    def reference(self) -> Stock:
        """The stock model in float32, as `from_pretrained` gives it."""
        return self.stocks["stock fp32"]

    def pairs(self, photos: int, count: int, dtype: torch.dtype) -> Pairs:
        """`count` pairs over `photos` photos, phrases in turn, as many rows of them as pairs."""
        stock, place = self.reference, torch.arange(count, device=self.device.torch)
        text, mask = (part[place % PHRASES, :WORDS] for part in (stock.text, stock.mask))
        return Pairs(text.to(dtype), mask.bool(), place * photos // count, place)

    def photos(self, count: int) -> Tensor:
        """(count, S, S, 3) uint8 on the device."""
        return torch.from_numpy(self.pictures[:count]).to(self.device.torch)


def default_size(device: Device) -> Size:
    return Size.FULL if device.cuda else Size.MEDIUM


def plan_for(size: Size, device: Device, *, quick: bool) -> Plan:
    """Everything on a GPU; on a CPU what two cores do in minutes, one round where one is long."""
    if size is Size.FULL and not device.cuda:
        return Plan((1,), (1, 4), (1, 8), 1)
    if quick:
        return Plan((1, 2), (1, 4), (1, 8), 3)
    if not device.cuda:
        return Plan((1, 2), (1, 4, 16), (1, 4, 8, 16), 3)
    return Plan((1, 2, 4, 8, 16), (1, 2, 4, 8, 16, 32, 64), (1, 4, 8, 16), 7)


def build_setting(
    size: Size, device: Device, plan: Plan, budget: Budget, *, compile_on_cpu: bool = False
) -> Setting:
    """Models of both dtypes on the device; ours in bf16 alone on a GPU, where it runs so."""
    config = configuration(size)
    pictures = random_pictures(max(plan.batches), int(config.image_size))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    report = Report(size=size.value, date=today, machine=describe(device))
    models = _models(config, device)
    report.ceilings = measure_ceilings(device, rounds=3 if size is Size.TINY else 8)
    works = {dtype: count_works(config, dtype) for dtype in STOCK_DTYPES}
    report.work = {dtype_name(dtype): counted for dtype, counted in works.items()}
    ids, mask = random_phrases(config, PHRASES)
    stocks = {f"stock {n}": Stock(model, ids, mask, pictures[0]) for n, model in models.items()}
    ways: dict[str, Way] = {}
    for name, model in models.items():
        if name == "bf16" or not device.cuda:
            ways[f"eager {name}"] = eager(model)
            if device.cuda or compile_on_cpu:
                ways |= _compiled(model, name, report, budget)
    return Setting(
        size, config, device, plan, budget, report, report.ceilings, works, pictures, stocks, ways
    )


def _models(config: Sam3Config, device: Device) -> dict[str, Sam3Model]:
    full = random_model(config, device.torch)
    half = copy.deepcopy(full)
    for weight in half.parameters():
        weight.data = weight.data.bfloat16()
    return {"fp32": full, "bf16": half}


def _compiled(model: Sam3Model, name: str, report: Report, budget: Budget) -> dict[str, Way]:
    answer = compiled(model, budget.left * COMPILING)
    if answer.failure:
        report.skip(f"compiled {name}: {answer.failure}")
        return {}
    report.cold.append(ColdRow(f"ours {name}, nothing cached", {"compilation": answer.seconds}))
    print(f"compiled {name} in {answer.seconds:.1f} s", flush=True)
    return {f"{form} {name}": way for form, way in answer.ways.items()}
