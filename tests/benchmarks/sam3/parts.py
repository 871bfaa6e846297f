"""The timed parts: vision per photo, decoding per pair, whole photos."""

from collections.abc import Callable
from functools import partial

import torch

from tests.benchmarks.sam3.compare import Comparison
from tests.benchmarks.sam3.ours import Way, repeated
from tests.benchmarks.sam3.rounds import Budget, Timing
from tests.benchmarks.sam3.setting import Setting
from tests.benchmarks.sam3.stock import Stock

PAIRS_PER_PHOTO = 8
ESTIMATE_FROM = 5.0
"""Seconds: a straightforward way that would take longer for one photo is computed from its parts,
which are the same calls again and again."""


def measure_vision(setting: Setting, budget: Budget) -> None:
    """From uint8 photos on the device to features, which hold what ours decodes once per photo."""
    plan, stocks = setting.plan, setting.stocks
    table = Comparison(setting, "vision", "photo", budget, len(plan.batches))
    table.title("batch", tuple(stocks))
    plain: dict[str, Callable[[], object]] = {
        name: partial(stock.vision, stock.pixels()) for name, stock in stocks.items()
    }
    for batch in plan.batches:
        photos = setting.photos(batch)
        ours = {name: partial(way.encode, photos) for name, way in setting.ways.items()}
        floors = {name: _vision_floor(setting, way, batch) for name, way in setting.ways.items()}
        floors |= {name: _stock_floors(setting, stock)[0] for name, stock in stocks.items()}
        table.measure(batch, ours, plain, floors, units=batch)


def measure_decode(setting: Setting, budget: Budget) -> None:
    """From features to scores, boxes and masks, eight concepts to a photo; stock pair by pair."""
    plan, stocks = setting.plan, setting.stocks
    table = Comparison(setting, "decode", "pair", budget, len(plan.pairs))
    table.title("pairs", tuple(stocks))
    plain: dict[str, Callable[[], object]] = {
        name: partial(stock.pair, 0) for name, stock in stocks.items()
    }
    seen = {name: way.encode(setting.photos(1)) for name, way in setting.ways.items()}
    for count in plan.pairs:
        photos = max(1, count // PAIRS_PER_PHOTO)
        ours: dict[str, Callable[[], object]] = {}
        for name, way in setting.ways.items():
            pairs = setting.pairs(photos, count, way.detector.dtype)
            ours[name] = partial(way.decode, repeated(seen[name], photos), *pairs)
        floors = {name: _pair_floor(setting, way, count) for name, way in setting.ways.items()}
        floors |= {name: _stock_floors(setting, stock)[1] for name, stock in stocks.items()}
        table.measure(count, ours, plain, floors, units=count)


def measure_photos(setting: Setting, budget: Budget) -> None:
    """From the stretched picture on the host to masks on the host."""
    plan, stocks = setting.plan, setting.stocks
    table = Comparison(setting, "photo", "photo", budget, len(plan.concepts))
    height, width = setting.reference.photo_size
    print(f"\nThe stock masks are enlarged to {width} × {height}; ours stay on their grid.")
    reusing = {name.replace("stock", "reused"): stock for name, stock in stocks.items()}
    table.title("concepts", (*stocks, *reusing))
    for count in plan.concepts:
        ours: dict[str, Callable[[], object]] = {}
        for name, way in setting.ways.items():
            pairs = setting.pairs(1, count, way.detector.dtype)
            ours[name] = partial(way.photo, setting.pictures[0], pairs)
        known = _estimates(setting, count)
        plain = {n: partial(stock.photo, count) for n, stock in stocks.items()}
        plain |= {n: partial(stock.photo_reusing, count) for n, stock in reusing.items()}
        plain = {name: call for name, call in plain.items() if name not in known}
        table.measure(count, ours, plain, _photo_floors(setting, count), known=known)


def _estimates(setting: Setting, count: int) -> dict[str, Timing]:
    """The straightforward ways that would take too long, from what one photo of 1 concept took."""
    report, known = setting.report, dict[str, Timing]()
    for name in setting.stocks:
        one = report.timing("photo", name)
        if one and one.low * count > ESTIMATE_FROM:
            known[name] = one.times(count, estimated=True)
        reused = name.replace("stock", "reused")
        first, pair = report.timing("photo", reused), report.timing("decode", name)
        if first and pair and first.low + pair.low * (count - 1) > ESTIMATE_FROM:
            known[reused] = first.plus(pair.times(count - 1))
    return known


def _photo_floors(setting: Setting, concepts: int) -> dict[str, float]:
    floors = {
        name: _vision_floor(setting, way, 1) + concepts * _pair_floor(setting, way, concepts)
        for name, way in setting.ways.items()
    }
    for name, stock in setting.stocks.items():
        vision, pair = _stock_floors(setting, stock)
        floors[name] = concepts * (vision + pair)
        floors[name.replace("stock", "reused")] = vision + concepts * pair
    return floors


def _vision_floor(setting: Setting, way: Way, batch: int) -> float:
    dtype = way.detector.dtype
    return setting.works[dtype].vision.floor(setting.ceilings, dtype, batch)


def _pair_floor(setting: Setting, way: Way, pairs: int) -> float:
    dtype = way.detector.dtype
    return setting.works[dtype].pair.floor(setting.ceilings, dtype, pairs)


def _stock_floors(setting: Setting, stock: Stock) -> tuple[float, float]:
    """Seconds for a photo's vision and for a pair, one at a time."""
    dtype: torch.dtype = stock.dtype
    works = setting.works[dtype]
    return works.stock_vision.floor(setting.ceilings, dtype), works.stock_pair.floor(
        setting.ceilings, dtype
    )
