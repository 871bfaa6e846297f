"""What each plan includes."""

from enum import StrEnum

from msgspec import Struct


class Plan(StrEnum):
    FREE = "free"
    PRO = "pro"


class Limits(Struct, frozen=True):
    """Numbers of the contract, section 2. `credits` is granted once, at the start."""

    credits: int
    concurrent_jobs: int
    items: int
    rule_slots: int


LIMITS: dict[Plan, Limits] = {
    Plan.FREE: Limits(credits=10, concurrent_jobs=1, items=10, rule_slots=2),
    Plan.PRO: Limits(credits=200, concurrent_jobs=3, items=200, rule_slots=20),
}

MOST_ITEMS = max(limits.items for limits in LIMITS.values())
"""In a job of any plan."""
