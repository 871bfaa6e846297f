"""What the chosen machines cost, as far as Runpod's catalogue tells it."""

from collections.abc import Sequence

from msgspec import Struct

from infra.deploy.bodies import GpuType
from infra.deploy.deployment import EndpointWish

HOURS_A_MONTH = 730
R2_GB_MONTH = 0.015
"""USD, with 10 GB free; https://developers.cloudflare.com/r2/pricing/, read in 2026."""

_RANKS = ("NONE", "LOW", "MEDIUM", "HIGH")


class Pool(Struct, frozen=True):
    """`stock` is the best of the pool's types, `price` the dearest, USD an hour for one GPU."""

    name: str
    stock: str
    price: float | None


def read_pools(gpus: Sequence[GpuType], names: Sequence[str]) -> list[Pool]:
    """In the order of `names`; a pool that the catalogue does not know has the stock UNKNOWN."""
    return [_pool(name, [gpu for gpu in gpus if gpu.pool == name]) for name in names]


def standing_lines(wish: EndpointWish, pools: Sequence[Pool]) -> list[str]:
    """What is paid while nobody asks for anything, and from when on more is."""
    known = [pool.price for pool in pools if pool.price is not None]
    rate = max(known) * wish.gpu_count if known else None
    if not wish.workers_min:
        standing = "Standing by costs nothing at Runpod: no worker runs while there is no job."
    elif rate is None:
        standing = f"Standing by: {wish.workers_min} workers are paid for day and night."
    else:
        month = rate * wish.workers_min * HOURS_A_MONTH
        standing = (
            f"Standing by: {wish.workers_min} workers are paid for day and night, up to "
            f"${month:,.0f} a month."
        )
    return [standing, _running(wish, rate), _bucket_line()]


def _running(wish: EndpointWish, rate: float | None) -> str:
    each = "" if rate is None else f", at up to ${rate:.2f} an hour each"
    return (
        f"Work: up to {wish.workers_max} workers{each}, from a worker's start to "
        f"{wish.idle_timeout_sec} s after its last job."
    )


def _bucket_line() -> str:
    return f"The bucket: ${R2_GB_MONTH} for a GB and month above R2's free 10 GB, and its calls."


def _pool(name: str, gpus: list[GpuType]) -> Pool:
    if not gpus:
        return Pool(name, "UNKNOWN", None)
    stock = max((gpu.availability for gpu in gpus), key=_RANKS.index)
    prices = [gpu.price.serverless for gpu in gpus if gpu.price.serverless is not None]
    return Pool(name, stock, max(prices, default=None))
