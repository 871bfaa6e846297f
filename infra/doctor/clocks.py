"""Whose clock is wrong: every part tells its time in the Date of an answer."""

import statistics
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx

from infra.doctor.findings import Finding, ok, trouble
from infra.doctor.patient import Patient

HERE = "this machine"
LIMIT_S = 120.0
"""Signatures of callbacks hold for 300 s, and Date is a few seconds coarse over a slow line."""


def read_clocks(http: httpx.Client, patient: Patient) -> dict[str, float]:
    """Seconds that each is ahead of this machine; who does not answer is not there."""
    addresses = {
        "the API": f"{patient.api_url}/health/live",
        "the object store": patient.store_endpoint,
        "Runpod": patient.rest_url,
    }
    offsets = {HERE: 0.0}
    for name, url in addresses.items():
        offset = _offset(http, url)
        if offset is not None:
            offsets[name] = offset
    return offsets


def judge_clocks(offsets: Mapping[str, float]) -> list[Finding]:
    """With three or more clocks the one that differs from the middle is wrong."""
    if len(offsets) < 3:
        return _judge_pair(offsets)
    middle = statistics.median_low(offsets.values())
    wrong = {name: at - middle for name, at in offsets.items() if abs(at - middle) > LIMIT_S}
    if not wrong:
        return [ok("clocks", f"{len(offsets)} clocks agree.")]
    return [
        trouble(
            "clocks",
            f"The clock of {name} is {_span(seconds)} {'ahead' if seconds > 0 else 'behind'}: "
            "set it by NTP, or signatures and signed URLs are refused.",
        )
        for name, seconds in wrong.items()
    ]


def _judge_pair(offsets: Mapping[str, float]) -> list[Finding]:
    apart = max(offsets.values()) - min(offsets.values())
    if apart <= LIMIT_S:
        return []
    names = " and ".join(offsets)
    return [trouble("clocks", f"The clocks of {names} are {_span(apart)} apart: set them by NTP.")]


def _offset(http: httpx.Client, url: str) -> float | None:
    try:
        date = http.get(url).headers.get("Date", "")
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (httpx.HTTPError, ValueError):
        return None


def _span(seconds: float) -> str:
    return f"{abs(seconds) / 60:.0f} minutes"
