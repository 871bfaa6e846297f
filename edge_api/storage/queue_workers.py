"""Workers that pull jobs, and when each was heard of last."""

from sqlalchemy import Connection, delete, func, select

from edge_api.storage.queued_jobs import QueueState
from edge_api.storage.tables import queue_workers, queued_jobs
from edge_api.storage.upsert import upsert


def record_seen(connection: Connection, name: str, now: float) -> None:
    connection.execute(
        upsert(connection.dialect.name, queue_workers)
        .values(name=name, seen_at=now)
        .on_conflict_do_update(index_elements=["name"], set_={"seen_at": now})
    )


def count_workers(connection: Connection, since: float) -> tuple[int, int]:
    """How many were heard of since then and hold no job, and how many hold one."""
    busy = select(queued_jobs.c.worker).where(queued_jobs.c.state == QueueState.IN_PROGRESS)
    seen = select(func.count()).where(queue_workers.c.seen_at >= since)
    idle = connection.execute(seen.where(queue_workers.c.name.not_in(busy))).scalar_one()
    running = connection.execute(seen.where(queue_workers.c.name.in_(busy))).scalar_one()
    return idle, running


def forget_workers(connection: Connection, before: float) -> None:
    connection.execute(delete(queue_workers).where(queue_workers.c.seen_at < before))
