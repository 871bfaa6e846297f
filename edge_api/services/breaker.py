"""An endpoint in trouble is left alone for a while, by every process at once."""

import logging

from sqlalchemy import Connection

from edge_api.clients.runpod import RunpodAmbiguous, RunpodDenied, RunpodError, RunpodTransient
from edge_api.storage.endpoints import count_failure, find_breaker, open_breaker

logger = logging.getLogger(__name__)

THRESHOLD = 5
"""Failures in a row that open it. A wrong key opens it at once."""


def room(connection: Connection, endpoint_id: str, most: int, pause: float, now: float) -> int:
    """How many jobs may be submitted now: `most`, none while it is open, then one to try it."""
    breaker = find_breaker(connection, endpoint_id)
    if breaker.failures < THRESHOLD:
        return most
    if now < breaker.open_until:
        return 0
    open_breaker(connection, endpoint_id, now + pause)  # of all processes one tries
    return 1


def after_failure(
    connection: Connection, endpoint_id: str, error: RunpodError, pause: float, now: float
) -> None:
    """Count a failure that is the endpoint's and not the job's."""
    if not isinstance(error, RunpodTransient | RunpodAmbiguous | RunpodDenied):
        return
    denied = isinstance(error, RunpodDenied)
    failures = count_failure(connection, endpoint_id, str(error), THRESHOLD if denied else 1)
    if failures < THRESHOLD:
        return
    # Always as long: of many submits that were under way each would make it longer, and while
    # it is open one job at a time finds out whether the trouble has passed.
    open_breaker(connection, endpoint_id, now + pause)
    level = logging.CRITICAL if denied else logging.ERROR
    logger.log(level, "endpoint left alone", extra={"seconds": pause, "reason": str(error)})
