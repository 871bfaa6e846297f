"""The environment that turns a process with the worker SDK into a worker of an endpoint."""

from msgspec import Struct


class WorkerSeat(Struct, frozen=True, kw_only=True):
    """Where a worker is to work. `ping_interval` is in whole seconds: the SDK drops fractions,
    and below one second it would ping without a pause."""

    base_url: str
    endpoint_id: str
    worker_id: str
    worker_key: str
    ping_interval: int = 2
    log_level: str = "INFO"

    def __repr__(self) -> str:
        return f"WorkerSeat({self.base_url}/{self.endpoint_id}, {self.worker_id})"


def worker_environment(seat: WorkerSeat) -> dict[str, str]:
    """What the platform sets. The SDK itself fills in `$ID` and `$RUNPOD_POD_ID`, appends with
    `&`, and finds its stop channel by the name in the first URL: so each needs a query string."""
    endpoint = f"{seat.base_url}/{seat.endpoint_id}"
    return {
        "RUNPOD_WEBHOOK_GET_JOB": f"{endpoint}/job-take/$ID?gpu=none",
        "RUNPOD_WEBHOOK_POST_OUTPUT": f"{endpoint}/job-done/$RUNPOD_POD_ID/$ID?gpu=none",
        "RUNPOD_WEBHOOK_POST_STREAM": f"{endpoint}/job-stream/$RUNPOD_POD_ID/$ID?gpu=none",
        "RUNPOD_WEBHOOK_PING": f"{endpoint}/ping/$RUNPOD_POD_ID?gpu=none",
        "RUNPOD_PING_INTERVAL": str(seat.ping_interval * 1000),
        "RUNPOD_POD_ID": seat.worker_id,
        "RUNPOD_POD_HOSTNAME": seat.worker_id,
        "RUNPOD_ENDPOINT_ID": seat.endpoint_id,
        "RUNPOD_AI_API_KEY": seat.worker_key,
        "RUNPOD_LOG_LEVEL": seat.log_level,
        # They look for a GPU and for the internet.
        "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
        "RUNPOD_SKIP_GPU_CHECK": "true",
    }
