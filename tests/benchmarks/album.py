"""A job of fifty 12 MP photos on the whole local stack, beside each of its stages alone.

Every process is the real one: API, object store, the Runpod emulator and the SDK's worker with the
`classical` engine. Options: `--photos 50 --concurrency 4`.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import psutil
from sqlalchemy import create_engine, update

from edge_api.storage.ledger import Kind, move_credits
from edge_api.storage.tables import users
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.imaging.decode import decode_image
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.outputs import encode_outputs
from gpu_handler.pipeline.photo import PaintedPhoto, SeenPhoto, apply
from gpu_handler.pipeline.plan import Plan, make_plan
from gpu_handler.segment.classical import ClassicalSegmenter
from infra.client import PaletteClient, RuleAction
from infra.local.stack import Stack
from infra.samples import encode_jpeg
from infra.samples.rooms import bedroom, dining_room, living_room, study
from shared.actions import Action, ConceptRule
from shared.messages import ItemMessage, JobMessage
from shared.objects import ObjectStore
from tests.benchmarks.table import heading, line

CORES = 2
RULES = {"Wall": "sage"}
PROTECT = ["Grout", "Frame_Molding", "Glass_highlight"]  # as the preset has it
STAGES = ("download", "decode", "prepare", "segment", "apply", "encode", "upload")
TWELVE_MEGAPIXELS = 2.0


def run(options: Sequence[str]) -> None:
    """Print where the time goes, and the job's speed beside that of its slowest stage."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks album")
    parser.add_argument("--photos", type=int, default=50)
    parser.add_argument("--concurrency", type=int, default=4)
    asked = parser.parse_args(list(options))
    psutil.Process().cpu_affinity(list(range(CORES)))
    cv2.setNumThreads(1)
    makers = (living_room, bedroom, dining_room, study)
    jpegs = [encode_jpeg(make(TWELVE_MEGAPIXELS)) for make in makers]
    with tempfile.TemporaryDirectory() as folder:
        environment = {"BATCH_CONCURRENCY": str(asked.concurrency)}
        with Stack(Path(folder), worker_env=environment, api_env=environment) as stack:
            stack.wait_ready()
            _job(stack, jpegs, 4)  # what is loaded and compiled at first
            told = _job(stack, jpegs, asked.photos)
            alone = _alone(jpegs, asked.concurrency) | _network(stack, jpegs)
    _print(told, alone, asked.photos)


class _Told:
    """What a job took: seconds in all, CPU seconds of every process, and those of each stage."""

    def __init__(self, seconds: float, cpu: float, stages: dict[str, float], peak: float) -> None:
        self.seconds, self.cpu, self.stages, self.peak = seconds, cpu, stages, peak


def _job(stack: Stack, jpegs: Sequence[bytes], count: int) -> _Told:
    with PaletteClient(stack.api_url, trust_env=False) as phone:
        session = phone.sign_up()
        _make_professional(stack, session.user_id)
        created = phone.create_job("interior", count)
        photos = itertools.cycle(jpegs)
        for target, photo in zip(created.presigned_urls, photos, strict=False):
            phone.upload(target.url, photo, "image/jpeg")
        phone.confirm_upload(created.job_id)
        rules = {name: RuleAction("recolor", value) for name, value in RULES.items()}
        processes = [psutil.Process(pid) for pid in stack.processes.values()]
        processes += [child for one in processes for child in one.children(recursive=True)]
        before = _cpu(processes)
        started = time.perf_counter()
        phone.execute(created.job_id, rules, protect=PROTECT)
        peak = 0.0
        while (job := phone.job(created.job_id)).status not in ("done", "failed"):
            peak = max(peak, *(one.memory_info().rss for one in processes))
            time.sleep(0.25)
        seconds = time.perf_counter() - started
        assert job.status == "done", job
        assert job.done_items == count, job
        items = [phone.item(created.job_id, idx).item.timings or {} for idx in range(count)]
        names = {name for item in items for name in item}
        stages = {name: sum(item.get(name, 0.0) for item in items) / count for name in names}
        return _Told(seconds, _cpu(processes) - before, stages, peak / 2**20)


def _make_professional(stack: Stack, user_id: str) -> None:
    engine = create_engine(f"sqlite:///{stack.site.data_dir / 'edge.db'}")
    with engine.begin() as connection:
        connection.execute(update(users).where(users.c.id == user_id).values(plan="pro"))
        move_credits(connection, user_id, Kind.ADJUST, 200, time.time(), None)
    engine.dispose()


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes if one.is_running())


def _alone(jpegs: Sequence[bytes], lanes: int) -> dict[str, float]:
    """Photos a second of each step by itself, with all the threads it has in the worker."""
    engine, brushwork, plan = ClassicalSegmenter(), Brushwork([CpuBackend()]), _plan()
    decoded = [decode_image(jpeg).pixels for jpeg in jpegs]
    prepared = [engine.prepare(pixels) for pixels in decoded]
    found = [engine.segment([one], [list(plan.concepts)])[0] for one in prepared]
    seen = [SeenPhoto(p, f, []) for p, f in zip(decoded, found, strict=True)]
    painted = [apply(brushwork, engine.name, one, plan) for one in seen]
    message, concepts = _message(), [list(plan.concepts)]

    def segment(photo: Pixels) -> object:
        return engine.segment([photo], concepts)

    def paint(photo: SeenPhoto) -> object:
        return apply(brushwork, engine.name, photo, plan)

    def encode(photo: PaintedPhoto) -> object:
        return encode_outputs(message, message.items[0], photo)

    return {
        "decode": _rate(decode_image, jpegs, lanes),
        "prepare": _rate(engine.prepare, decoded, lanes),
        "segment": _rate(segment, prepared, 1),
        "apply": _rate(paint, seen, lanes),
        "encode": _rate(encode, painted, lanes),
    }


def _network(stack: Stack, jpegs: Sequence[bytes]) -> dict[str, float]:
    """Down and up again by the store client, 16 at a time: about what a photo leaves behind."""
    secrets = stack.site.secrets
    store = ObjectStore(
        stack.store_url, "s3-images", secrets.store_access_key, secrets.store_secret_key
    )
    result = b"\0" * 14_000_000
    store.put("inputs/u/j/0.jpg", jpegs[0], "image/jpeg")

    def down(_: int) -> object:
        return store.get("inputs/u/j/0.jpg", max_bytes=40_000_000)

    def up(number: int) -> object:
        return store.put(f"outputs/u/j/{number}_result.png", result, "image/png")

    return {"download": _rate(down, range(8), 16), "upload": _rate(up, range(8), 16)}


def _rate(step: Callable[..., object], inputs: Sequence[object], threads: int) -> float:
    """Photos a second; the median of three rounds of eight."""
    todo = list(itertools.islice(itertools.cycle(inputs), 8))
    rates: list[float] = []
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(step, inputs))
        for _ in range(3):
            started = time.perf_counter()
            list(pool.map(step, todo))
            rates.append(len(todo) / (time.perf_counter() - started))
    return statistics.median(rates)


def _plan() -> Plan:
    rules = {name: ConceptRule(Action.RECOLOR, value) for name, value in RULES.items()}
    return make_plan("interior", rules, PROTECT)


def _message() -> JobMessage:
    item = ItemMessage(
        0, "inputs/u/j/0.jpg", "outputs/u/j/0_result.png", "previews/u/j/0_thumb.jpg"
    )
    return JobMessage(1, "j", "d", 1, "u", "interior", {}, [], [item], "http://x", "j", 4)


def _print(told: _Told, alone: dict[str, float], count: int) -> None:
    speed = count / told.seconds
    heading(f"{count} photos of 12 MP, {CORES} cores", "s a photo", "alone, photo/s", "job : it")
    for stage in STAGES:
        rate = alone[stage]
        cells = f"{told.stages[stage]:.3f}", f"{rate:.2f}", f"{speed / rate:.2f}"
        line(stage, *cells)
    waiting = {name: told.stages.get(name, 0.0) for name in ("queue_wait", "device_wait")}
    for name, seconds in waiting.items():
        line(name, f"{seconds:.3f}")
    slowest = min(STAGES, key=lambda stage: alone[stage])
    line("the job", f"{told.seconds / count:.3f}", f"{speed:.2f}")
    line(f"the slowest stage alone, {slowest}", "", f"{alone[slowest]:.2f}")
    line("the job : that", "", f"{speed / alone[slowest]:.2f}")
    shared = CORES / (told.cpu / count)
    line("what two cores could do at best", f"{told.cpu / count:.3f} CPU", f"{shared:.2f}")
    line("the job : that", "", f"{speed / shared:.2f}")
    busy = told.stages["segment"] * count / told.seconds
    line("device idle", f"{1 - busy:.2f}")
    line("largest process, MiB", f"{told.peak:.0f}")
