"""Brings a job into a state by the calls that lead there."""

from tests.edge_api.phone import Phone
from tests.edge_api.service import Service

STATES = ["created", "uploaded", "queued", "running", "done", "failed", "canceled"]


def job_in(service: Service, phone: Phone, state: str) -> str:
    """A job of two items, photos uploaded; `canceled` was canceled while it was queued."""
    if state == "created":
        return phone.created_job(2)
    if state == "uploaded":
        return phone.uploaded_job(2)
    job_id = phone.queued_job(2)
    worker = service.worker(job_id)
    ends = {"running": ["done"], "done": ["done", "failed"], "failed": ["failed", "failed"]}
    for idx, status in enumerate(ends.get(state, [])):
        assert worker.processed(idx, status)
    if state == "canceled":
        phone.cancel(job_id)
    assert phone.job(job_id)["status"] == state
    return job_id
