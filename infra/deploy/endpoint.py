"""The endpoint at Runpod: found by its name, made, and changed where it differs."""

from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType

from infra.deploy.bodies import CreateEndpoint, Endpoint, Gpu, QueueDelay, UpdateEndpoint, Workers
from infra.deploy.deployment import EndpointWish
from infra.deploy.errors import DeployError, RunpodDown
from infra.deploy.runpod import RunpodRest
from infra.deploy.step import Step, Verdict, changed, shown

# GraphQL put this behind the name to turn FlashBoot on; endpoints from that time still have it.
_FLASHBOOT_MARK = " -fb"
_PLATFORM = "RUNPOD_"


class Wanted(Struct, frozen=True):
    """The wish with the values of its variables; `secret` names those that are never shown."""

    wish: EndpointWish
    env: dict[str, str]

    @property
    def secret(self) -> frozenset[str]:
        return frozenset(self.wish.env_from)

    def __repr__(self) -> str:
        return f"Wanted({self.wish.name!r})"


def find_endpoint(runpod: RunpodRest, name: str) -> Endpoint | None:
    """Raises DeployError where the name is not one endpoint's alone."""
    names = {name, name + _FLASHBOOT_MARK}
    found = [endpoint for endpoint in runpod.endpoints() if endpoint.name in names]
    if len(found) > 1:
        ids = ", ".join(endpoint.id for endpoint in found)
        raise DeployError(f"{len(found)} endpoints are named {name} ({ids}): delete all but one.")
    return found[0] if found else None


def plan_endpoint(runpod: RunpodRest, wanted: Wanted) -> Step:
    """Raises DeployError."""
    subject = f"Runpod endpoint {wanted.wish.name}"
    found = find_endpoint(runpod, wanted.wish.name)
    if found is None:
        lines = tuple(_description(wanted))
        return Step(subject, Verdict.CREATE, lines, lambda: _create(runpod, wanted))
    if found.type != "QUEUE":
        raise DeployError(
            f"{subject} ({found.id}) routes by {found.type}, which cannot be changed: delete it "
            "or choose another name."
        )
    subject = f"{subject} ({found.id})"
    body, lines = difference(found, wanted)
    if not lines:
        return Step(subject, Verdict.AS_WANTED)
    return Step(subject, Verdict.CHANGE, tuple(lines), lambda: _update(runpod, found.id, body))


def create_body(wanted: Wanted) -> CreateEndpoint:
    wish = wanted.wish
    return CreateEndpoint(
        name=wish.name,
        type="QUEUE",
        image=wish.image,
        disk=wish.container_disk_gb,
        env=wanted.env,
        registry=UNSET if wish.registry is None else wish.registry,
        gpu=Gpu(
            pools=list(wish.gpu_pools),
            count=wish.gpu_count,
            min_cuda_version=wish.min_cuda_version or UNSET,
        ),
        workers=_workers(wish),
        scaling=QueueDelay(queue_delay=wish.queue_delay_sec),
        timeout=wish.execution_timeout_sec * 1000,
        # Off is what the API takes where nothing is said, unlike the console.
        flashboot="FLASHBOOT" if wish.flashboot else "OFF",
    )


def difference(found: Endpoint, wanted: Wanted) -> tuple[UpdateEndpoint, list[str]]:
    """The body that makes `found` as wanted, and its lines; no lines where nothing differs."""
    want = create_body(wanted)
    lines: list[str] = []

    def differs(name: str, before: object, after: object, unit: str = "") -> bool:
        if before == after:
            return False
        lines.append(changed(name + unit, before, after))
        return True

    image = want.image if differs("image", found.image, want.image) else UNSET
    registry: str | UnsetType | None = UNSET
    if differs("registry", found.registry, wanted.wish.registry):
        registry = wanted.wish.registry
    disk = want.disk if differs("disk", found.disk, want.disk, ", GB") else UNSET
    timeout = UNSET
    if differs("execution timeout", found.timeout, want.timeout, ", ms"):
        timeout = want.timeout
    flashboot = UNSET
    if differs("FlashBoot", found.flashboot, want.flashboot):
        flashboot = want.flashboot
    scaling = UNSET
    if differs("scaling", _scaling(found.scaling), _scaling(want.scaling)):
        scaling = want.scaling
    body = UpdateEndpoint(
        image=image,
        registry=registry,
        disk=disk,
        timeout=timeout,
        flashboot=flashboot,
        scaling=scaling,
        gpu=_gpu_difference(found.gpu or Gpu(), wanted.wish, lines),
        workers=_workers_difference(found.workers, _workers(wanted.wish), lines),
        env=_env_difference(found.env, wanted, lines),
    )
    return body, lines


def _create(runpod: RunpodRest, wanted: Wanted) -> None:
    try:
        runpod.create(create_body(wanted))
    except RunpodDown:
        # An answer may be lost, or be a 500, although the endpoint was made.
        if find_endpoint(runpod, wanted.wish.name) is None:
            raise


def _update(runpod: RunpodRest, endpoint_id: str, body: UpdateEndpoint) -> None:
    runpod.update(endpoint_id, body)


def _workers(wish: EndpointWish) -> Workers:
    return Workers(min=wish.workers_min, max=wish.workers_max, idle_timeout=wish.idle_timeout_sec)


def _workers_difference(before: Workers, after: Workers, lines: list[str]) -> Workers | UnsetType:
    names = {"min": "workers, at least", "max": "workers, at most", "idle_timeout": "idle, s"}
    differing = [name for name in names if getattr(before, name) != getattr(after, name)]
    lines += [
        changed(names[name], _given(getattr(before, name)), getattr(after, name))
        for name in differing
    ]
    return after if differing else UNSET


def _gpu_difference(before: Gpu, wish: EndpointWish, lines: list[str]) -> Gpu | UnsetType:
    after = Gpu(
        pools=list(wish.gpu_pools) if before.pools != list(wish.gpu_pools) else UNSET,
        count=wish.gpu_count if before.count != wish.gpu_count else UNSET,
        # An empty text is how a floor is taken away.
        min_cuda_version=(
            (wish.min_cuda_version or "")
            if (before.min_cuda_version or None) != wish.min_cuda_version
            else UNSET
        ),
    )
    if after == Gpu():
        return UNSET
    if after.pools is not UNSET:
        lines.append(changed("GPU pools", _given(before.pools), after.pools))
        if before.excluded_types:
            lines.append(f"- excluded GPU types: {shown(before.excluded_types)}")
    if after.count is not UNSET:
        lines.append(changed("GPUs of a worker", _given(before.count), after.count))
    if after.min_cuda_version is not UNSET:
        lines.append(changed("CUDA, at least", before.min_cuda_version, after.min_cuda_version))
    return after


def _env_difference(
    before: Mapping[str, str], wanted: Wanted, lines: list[str]
) -> dict[str, str] | UnsetType:
    """The whole of it, since it is replaced as a whole; what Runpod itself added is kept."""
    platform = {
        name: value
        for name, value in before.items()
        if name.startswith(_PLATFORM) and name not in wanted.env
    }
    after = platform | wanted.env
    if after == before:
        return UNSET
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            lines.append(f"- env {name}")
        elif name not in before:
            lines.append(f"+ env {name}{_value(name, wanted)}")
        elif before[name] != after[name]:
            lines.append(f"~ env {name}{_value(name, wanted)}")
    return after


def _value(name: str, wanted: Wanted) -> str:
    if name in wanted.secret:
        return f" (from {wanted.wish.env_from[name]}, not shown)"
    return f" = {wanted.env[name]}"


def _description(wanted: Wanted) -> list[str]:
    wish = wanted.wish
    lines = [
        f"+ image: {wish.image}",
        f"+ GPU pools: {shown(wish.gpu_pools)}, {wish.gpu_count} a worker",
        f"+ workers: {wish.workers_min} to {wish.workers_max}, idle for {wish.idle_timeout_sec} s",
        f"+ scaling: {_scaling(QueueDelay(queue_delay=wish.queue_delay_sec))}",
        f"+ execution timeout: {wish.execution_timeout_sec} s",
        f"+ disk: {wish.container_disk_gb} GB",
        f"+ FlashBoot: {'FLASHBOOT' if wish.flashboot else 'OFF'}",
    ]
    if wish.min_cuda_version:
        lines.append(f"+ CUDA, at least: {wish.min_cuda_version}")
    if wish.registry:
        lines.append(f"+ registry: {wish.registry}")
    return lines + [f"+ env {name}{_value(name, wanted)}" for name in sorted(wanted.env)]


def _scaling(scaling: object) -> str:
    match scaling:
        case QueueDelay(queue_delay=delay) if delay is not UNSET:
            return f"another worker when a job waits {delay:g} s"
        case _:
            return "by requests"


def _given(value: object) -> object:
    return None if value is UNSET else value
