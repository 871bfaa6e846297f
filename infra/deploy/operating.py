"""A deployment that is there: how it is, how many workers it may have, and its end."""

from infra.deploy.bodies import Endpoint, UpdateEndpoint, Workers
from infra.deploy.endpoint import find_endpoint
from infra.deploy.errors import DeployError, RunpodMissing
from infra.deploy.plan import Say, Tools
from infra.deploy.prices import R2_GB_MONTH, read_pools

_GB = 1e9


def status(tools: Tools, say: Say) -> None:
    """Raises DeployError."""
    found = find_endpoint(tools.runpod, tools.deployment.endpoint.name)
    if found is None:
        say(f"There is no endpoint {tools.deployment.endpoint.name} at Runpod.")
    else:
        _say_endpoint(tools, found, say)
    if not tools.bucket.exists():
        say(f"There is no bucket {tools.bucket.name}.")
        return
    rules, days = tools.bucket.cors(), tools.bucket.lifecycle()
    origins = sorted({origin for rule in rules for origin in rule.origins})
    say(f"R2 bucket {tools.bucket.name}: pages of {', '.join(origins) or 'no origin'}.")
    kept = ", ".join(f"{prefix} {count} days" for prefix, count in sorted(days.items()))
    say(f"It keeps {kept or 'everything'}.")


def scale(tools: Tools, low: int, high: int, say: Say) -> None:
    """With `high` 0 nothing runs at all, and jobs wait. Raises DeployError."""
    if low > high:
        raise DeployError(f"{low} workers at least and {high} at most do not fit together.")
    found = _need(tools)
    tools.runpod.update(found.id, UpdateEndpoint(workers=Workers(min=low, max=high)))
    say(f"Endpoint {found.id}: {low} to {high} workers.")
    if not high:
        say("Nothing runs now, and jobs wait: `scale --workers 0 3` or `apply` lets them go on.")


def destroy(tools: Tools, *, with_bucket: bool, delete_objects: bool, say: Say) -> None:
    """Raises DeployError; what was done before it is done, and may be repeated."""
    found = find_endpoint(tools.runpod, tools.deployment.endpoint.name)
    if found is None:
        say("The endpoint is not there.")
    else:
        _delete_endpoint(tools, found)
        say(f"Endpoint {found.id} is deleted, with its workers and the jobs they had.")
    if with_bucket:
        _delete_bucket(tools, delete_objects=delete_objects, say=say)
    for line in what_stays(tools):
        say(line)


def what_goes(tools: Tools, *, with_bucket: bool, delete_objects: bool) -> list[str]:
    """For whoever is asked to confirm it."""
    lines = [f"Endpoint {tools.deployment.endpoint.name} with its workers and waiting jobs"]
    if with_bucket:
        rest = "and every photo and result in it" if delete_objects else "if it is empty"
        lines.append(f"Bucket {tools.bucket.name}, {rest}")
    return lines


def what_stays(tools: Tools) -> list[str]:
    """What goes on costing money."""
    lines: list[str] = []
    if tools.bucket.exists():
        contents = tools.bucket.contents()
        month = contents.size / _GB * R2_GB_MONTH
        lines.append(
            f"The bucket {tools.bucket.name} stays: {contents.count} objects, "
            f"{contents.size / _GB:.2f} GB, ${month:.2f} a month above R2's free 10 GB."
        )
    return [
        *lines,
        "Not ours to end, and to be ended where you made them: the machine of the API and its "
        "database, the image in your registry, network volumes.",
    ]


def _delete_endpoint(tools: Tools, found: Endpoint) -> None:
    try:
        # First no worker may start any more: should the second call fail, nothing is paid for.
        tools.runpod.update(found.id, UpdateEndpoint(workers=Workers(min=0, max=0)))
        tools.runpod.delete(found.id)
    except RunpodMissing:
        pass  # a call before this one had reached it


def _delete_bucket(tools: Tools, *, delete_objects: bool, say: Say) -> None:
    if not tools.bucket.exists():
        say("The bucket is not there.")
        return
    if delete_objects:
        say(f"{tools.bucket.empty()} objects are deleted.")
    tools.bucket.delete()
    say(f"The bucket {tools.bucket.name} is deleted.")


def _say_endpoint(tools: Tools, found: Endpoint, say: Say) -> None:
    say(f"Endpoint {found.name}: RUNPOD_ENDPOINT_ID={found.id}")
    say(f"It runs {found.image} with {found.workers.min} to {found.workers.max} workers.")
    if not found.workers.max:
        say("It is switched off: no worker may start. `scale --workers 0 3` switches it on.")
    workers = tools.runpod.workers(found.id).workers
    states = sorted({worker.status for worker in workers})
    counts = [f"{sum(worker.status == state for worker in workers)} {state}" for state in states]
    say(f"Workers now: {', '.join(counts).lower() or 'none, the next job starts one'}.")
    if stale := sum(worker.is_stale for worker in workers):
        say(f"{stale} of them still run the release before.")
    pools = read_pools(tools.runpod.gpus(), tools.deployment.endpoint.gpu_pools)
    say(f"Stock: {', '.join(f'{pool.name} {pool.stock.lower()}' for pool in pools)}.")


def _need(tools: Tools) -> Endpoint:
    name = tools.deployment.endpoint.name
    if (found := find_endpoint(tools.runpod, name)) is None:
        raise DeployError(f"There is no endpoint {name} at Runpod: `apply` makes it.")
    return found
