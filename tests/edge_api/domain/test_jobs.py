"""The state machine as the contract draws it."""

from itertools import pairwise

import pytest

from edge_api.domain.jobs import OPEN, TRANSITIONS, JobStatus, outcome, sources

PATH = ["created", "uploaded", "queued", "running"]
ENDS = ["done", "failed", "canceled"]


def test_there_are_no_other_states() -> None:
    assert list(JobStatus) == PATH + ENDS


def test_the_transitions_of_the_contract() -> None:
    drawn = set(pairwise(PATH))
    drawn |= {("running", "done"), ("running", "failed")}
    drawn |= {(state, "canceled") for state in PATH}
    assert {(a.value, b.value) for a, targets in TRANSITIONS.items() for b in targets} == drawn


def test_what_has_ended_is_not_open() -> None:
    assert {status.value for status in OPEN} == set(PATH)


@pytest.mark.parametrize("status", JobStatus)
def test_sources_are_the_transitions_read_backwards(status: JobStatus) -> None:
    assert sources(status) == {a for a, targets in TRANSITIONS.items() if status in targets}


@pytest.mark.parametrize(("done", "status"), [(0, "failed"), (1, "done"), (200, "done")])
def test_a_job_of_which_one_succeeded_is_done(done: int, status: str) -> None:
    assert outcome(done) == status
