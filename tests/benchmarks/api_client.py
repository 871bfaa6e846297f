"""The callers, in a process of their own: a plan on stdin, a report on stdout, both JSON."""

import asyncio
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable

import msgspec
import uvloop
from msgspec import Struct

from tests.benchmarks.api_plans import Creations, Load, Plan, Reads, Report, Visits
from tests.benchmarks.api_wire import Wire, connect


class Caller:
    """Times calls and keeps what went wrong."""

    def __init__(self) -> None:
        self.calls: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []

    async def call(
        self, name: str, wire: Wire, method: str, path: str, token: str = "", body: object = None
    ) -> bytes:
        """The answer's body. Raises OSError for an answer that is no success, once noted."""
        content = b"" if body is None else msgspec.json.encode(body)
        started = time.perf_counter()
        status, answer = await wire.call(method, path, token, content)
        self.calls[name].append(time.perf_counter() - started)
        if not 200 <= status < 300:
            raise OSError(f"{method} {path}: {status} {answer[:200].decode()}")
        return answer


class _Account(Struct):
    token: str


class _SignedUp(Struct):
    data: _Account


class _Job(Struct):
    job_id: str


class _Created(Struct):
    data: _Job


async def _load(plan: Load, caller: Caller) -> None:
    until = time.perf_counter() + plan.seconds

    async def ask(base: str) -> None:
        wire = await connect(base)
        while time.perf_counter() < until:
            await caller.call("load", wire, "GET", plan.path, plan.token)
        wire.close()

    bases = (plan.bases[number % len(plan.bases)] for number in range(plan.connections))
    await asyncio.gather(*(_noted(caller, ask(base)) for base in bases))


async def _reads(plan: Reads, caller: Caller) -> None:
    wire = await connect(plan.base)
    for _ in range(plan.rounds):
        for path in plan.paths:
            for prefix in plan.prefixes:
                await caller.call(prefix, wire, "GET", prefix + path, plan.token)
    wire.close()


async def _creations(plan: Creations, caller: Caller) -> None:
    wire = await connect(plan.base)
    body = {"preset": "interior", "item_count": plan.items}
    for _ in range(plan.rounds):
        for prefix in plan.prefixes:
            answer = await caller.call(prefix, wire, "POST", f"{prefix}/jobs", plan.token, body)
            job_id = msgspec.json.decode(answer, type=_Created).data.job_id
            await wire.call("POST", f"/jobs/{job_id}/cancel", plan.token)
    wire.close()


async def _visits(plan: Visits, caller: Caller) -> None:
    async def visit(user: int) -> None:
        wire = await connect(plan.bases[user % len(plan.bases)])
        await asyncio.sleep(plan.pause * user / plan.users)
        for _ in range(plan.sessions):
            await _session(plan, caller, wire)
        wire.close()

    await asyncio.gather(*(_noted(caller, visit(user)) for user in range(plan.users)))


async def _session(plan: Visits, caller: Caller, wire: Wire) -> None:
    answer = await caller.call("sign-up", wire, "POST", "/auth/anon")
    token = msgspec.json.decode(answer, type=_SignedUp).data.token
    await asyncio.sleep(plan.pause)
    body = {"preset": "interior", "item_count": plan.items}
    answer = await caller.call("create", wire, "POST", "/jobs", token, body)
    job_id = msgspec.json.decode(answer, type=_Created).data.job_id
    await asyncio.sleep(plan.pause)
    await caller.call("read", wire, "GET", f"/jobs/{job_id}", token)
    await asyncio.sleep(plan.pause)
    await caller.call("list", wire, "GET", "/jobs", token)
    await asyncio.sleep(plan.pause)


async def _noted(caller: Caller, acting: Awaitable[None]) -> None:
    """A user whose call fails goes away; the others go on."""
    try:
        await acting
    except OSError as error:
        caller.errors.append(str(error))


async def _follow(plan: Plan) -> Report:
    caller = Caller()
    started, cpu = time.perf_counter(), time.process_time()
    match plan:
        case Load():
            await _load(plan, caller)
        case Reads():
            await _reads(plan, caller)
        case Creations():
            await _creations(plan, caller)
        case Visits():
            await _visits(plan, caller)
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Report(dict(caller.calls), caller.errors, took, cpu)


def follow(plan: Plan) -> Report:
    """Have a new client process do what the plan says."""
    command = [sys.executable, "-m", "tests.benchmarks.api_client"]
    ended = subprocess.run(
        command, input=msgspec.json.encode(plan), stdout=subprocess.PIPE, check=True
    )
    return msgspec.json.decode(ended.stdout, type=Report)


if __name__ == "__main__":
    asked: Plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    told = msgspec.json.encode(uvloop.run(_follow(asked)))
    # With PYTHONUNBUFFERED stdout itself would write what fits into the pipe and no more.
    with open(sys.stdout.fileno(), "wb", closefd=False) as out:
        out.write(told)
