"""How the emulated service behaves: keys, time limits and patience."""

from msgspec import Struct

MINUTE = 60.0
DAY = 24 * 60 * MINUTE
MIB = 1024 * 1024

# The documented ranges of a request's policy, in milliseconds.
EXECUTION_TIMEOUT_MS = (5_000, 7 * 86_400_000)
TTL_MS = (10_000, 7 * 86_400_000)

RUN_BODY_LIMIT = 10 * MIB
RUNSYNC_BODY_LIMIT = 20 * MIB
CONTROL_BODY_LIMIT = 64 * 1024


class RunpodSettings(Struct, frozen=True, kw_only=True):
    """Times are in seconds.

    `api_key` is what callers send as a bearer token, `worker_key` what the worker sends as the
    bare `Authorization` value. A worker that holds jobs and has not pinged for
    `heartbeat_timeout` is lost; a job is put back at most `max_retries` times, then it failed.
    """

    api_key: str
    worker_key: str
    long_poll: float = 10.0
    heartbeat_timeout: float = 30.0
    max_retries: int = 3
    execution_timeout: float = 10 * MINUTE
    ttl: float = DAY
    retention: float = 30 * MINUTE
    sync_retention: float = MINUTE
    webhook_retry_delay: float = 10.0
    sweep_interval: float = 0.2
    refusal_delay: float = 1.0

    def __repr__(self) -> str:
        return "RunpodSettings(api_key=***, worker_key=***)"
