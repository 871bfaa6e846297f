"""Everything that is to be done, in order, as a person reads it before it is done."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from msgspec import Struct

from infra.deploy.access import Access
from infra.deploy.buckets import BucketSettings
from infra.deploy.deployment import Deployment
from infra.deploy.endpoint import Wanted, find_endpoint, plan_endpoint
from infra.deploy.errors import DeployError
from infra.deploy.prices import Pool, read_pools, standing_lines
from infra.deploy.runpod import RunpodRest
from infra.deploy.step import Step, Verdict
from infra.deploy.storage import plan_bucket

Say = Callable[[str], None]
MARKS = {Verdict.AS_WANTED: "=", Verdict.CREATE: "+", Verdict.CHANGE: "~"}


class Tools(Struct, frozen=True):
    """The clients of one deployment."""

    deployment: Deployment
    runpod: RunpodRest
    bucket: BucketSettings
    access: Access
    worker_env: dict[str, str]

    def __repr__(self) -> str:
        return f"Tools({self.access!r})"


@contextmanager
def open_tools(deployment: Deployment, environ: Mapping[str, str]) -> Generator[Tools]:
    """Raises SettingsError for what the environment lacks."""
    access = Access.from_env(environ)
    env = deployment.worker_env(environ, access.store_endpoint)
    hidden = [env[name] for name in deployment.endpoint.env_from]
    bucket = BucketSettings(
        access.store_endpoint,
        deployment.bucket.name,
        access.store_access_key,
        access.store_secret_key,
    )
    secrets = (*access.secrets, *hidden)
    with RunpodRest(access.rest_url, access.runpod_key, secrets=secrets) as runpod:
        yield Tools(deployment, runpod, bucket, access, env)


def look(tools: Tools) -> list[Step]:
    """What there is against what is wanted; the bucket first, since workers need it.

    Changes nothing. Raises DeployError.
    """
    wanted = Wanted(tools.deployment.endpoint, tools.worker_env)
    return [
        *plan_bucket(tools.bucket, tools.deployment.bucket),
        plan_endpoint(tools.runpod, wanted),
    ]


def show_plan(tools: Tools, steps: list[Step], say: Say) -> None:
    for step in steps:
        say(f"{MARKS[step.verdict]} {step.subject} {step.verdict}")
        for line in step.lines:
            say(f"    {line}")
    wish = tools.deployment.endpoint
    pools = read_pools(tools.runpod.gpus(), wish.gpu_pools)
    say("")
    for line in (*_by_hand(tools.deployment), *_stock(pools), *standing_lines(wish, pools)):
        say(line)
    pending = sum(step.pending for step in steps)
    say(f"{pending} of {len(steps)} to do." if pending else "Nothing to do.")


def apply(tools: Tools, say: Say) -> bool:
    """Do what is left to do; False where something still differs afterwards.

    Each step looks different after it is done, so one that was interrupted is simply run again.
    Raises DeployError at the first step that fails; those before it are done and stay.
    """
    for step in look(tools):
        if step.carry_out is not None:
            step.carry_out()
            say(f"{step.subject}: {_DONE[step.verdict]}")
    left = [step for step in look(tools) if step.pending]
    for step in left:
        say(f"{step.subject} still differs from what was asked for:")
        for line in step.lines:
            say(f"    {line}")
    if not left:
        say(f"Everything is as wanted. For the API: RUNPOD_ENDPOINT_ID={_id(tools)}")
    return not left


_DONE = {Verdict.CREATE: "created", Verdict.CHANGE: "changed", Verdict.AS_WANTED: "as it was"}


def _id(tools: Tools) -> str:
    found = find_endpoint(tools.runpod, tools.deployment.endpoint.name)
    if found is None:
        raise DeployError("Runpod does not list the endpoint that it has just made: try again.")
    return found.id


def _by_hand(deployment: Deployment) -> list[str]:
    if not (model := deployment.endpoint.cached_model):
        return []
    name = deployment.endpoint.name
    return [
        f"By hand, once: in Runpod's console under Serverless, {name}, Manage, Edit Endpoint, set "
        f"Model to {model} and give a Hugging Face token that may read it. REST v2 has no field "
        "for it, so nobody here can tell whether it is set."
    ]


def _stock(pools: list[Pool]) -> list[str]:
    told = ", ".join(f"{pool.name} {pool.stock.lower()}" for pool in pools)
    lines = [f"Stock at this moment: {told}."]
    if unknown := [pool.name for pool in pools if pool.stock == "UNKNOWN"]:
        lines.append(f"Runpod's catalogue knows no pool {', '.join(unknown)}: check the spelling.")
    return lines
