"""People with jobs in every state and with rules, made again as soon as a call used them up."""

from tests.edge_api.phone import RULE
from tests.edge_api.service import Service
from tests.edge_api.states import STATES, job_in

RULES = 2
"""Rules that everyone has: as many as the free plan allows."""


class Owner:
    """An account with one job in a state and two rules; `ids` are all that others must not see."""

    def __init__(self, service: Service, state: str) -> None:
        self.state = state
        self.phone = service.phone()
        self.job_id = job_in(service, self.phone, state)
        body = {"name": f"of {state}", "preset_id": "interior", **RULE}
        self.rule_ids = [
            self.phone.data("POST", "/rules", body)["rule"]["id"] for _ in range(RULES)
        ]

    @property
    def ids(self) -> set[str]:
        return {self.phone.user_id, self.job_id, *self.rule_ids}


class Cast:
    """Hands out owners whose things are still what they should be."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._owners: dict[str, Owner] = {}

    def owner(self, state: str) -> Owner:
        """The owner of a job that is in `state` now."""
        known = self._owners.get(state)
        if known is None or not self._intact(known):
            self._owners[state] = known = Owner(self._service, state)
        return known

    def everyone(self) -> list[Owner]:
        return [self.owner(state) for state in STATES]

    def _intact(self, owner: Owner) -> bool:
        (found,) = self._service.rows(
            "SELECT (SELECT status FROM jobs WHERE id = :job) AS status,"
            " (SELECT count(*) FROM rules WHERE user_id = :user) AS rules",
            job=owner.job_id,
            user=owner.phone.user_id,
        )
        return (found["status"], found["rules"]) == (owner.state, RULES)
