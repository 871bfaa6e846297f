"""Everything that is known of a job or an account, for operators."""

from msgspec import Struct
from sqlalchemy import Connection

from edge_api.domain.errors import DomainError, JobNotFound, NotFound
from edge_api.domain.plans import Plan
from edge_api.storage.dead_letters import DeadLetter, dead_letters_of
from edge_api.storage.dispatches import Attempt, list_attempts
from edge_api.storage.jobs import Item, Job, all_items, find_job, open_job_ids
from edge_api.storage.ledger import Kind, Movement, list_movements, move_credits
from edge_api.storage.users import Profile, find_profile, set_plan


class JobHistory(Struct, frozen=True):
    job: Job
    items: list[Item]
    attempts: list[Attempt]
    dead_letters: list[DeadLetter]
    money: list[Movement]


class Account(Struct, frozen=True):
    profile: Profile
    open_jobs: list[str]
    ledger: list[Movement]


class BalanceTooLow(DomainError):
    status, code = 409, "BALANCE_TOO_LOW"


def read_history(connection: Connection, job_id: str) -> JobHistory:
    job = find_job(connection, job_id)
    if job is None:
        raise JobNotFound
    movements = list_movements(connection, job.user_id)
    return JobHistory(
        job,
        all_items(connection, job_id),
        list_attempts(connection, job_id),
        dead_letters_of(connection, job_id),
        [movement for movement in movements if movement.job_id == job_id],
    )


def read_account(connection: Connection, user_id: str) -> Account:
    profile = find_profile(connection, user_id)
    if profile is None:
        raise NotFound("There is no such user.")
    movements = list_movements(connection, user_id)
    return Account(profile, open_job_ids(connection, user_id), movements)


def grant_credits(connection: Connection, user_id: str, credits: int, now: float) -> Account:
    """Add credits, or take some; the ledger says that an operator did it."""
    account = read_account(connection, user_id)
    if credits and not move_credits(connection, user_id, Kind.ADJUST, credits, now, None):
        left = account.profile.credits
        raise BalanceTooLow(f"The balance is {left}; it cannot fall below 0.", {"credits": left})
    return read_account(connection, user_id)


def change_plan(connection: Connection, user_id: str, plan: Plan) -> Account:
    read_account(connection, user_id)
    set_plan(connection, user_id, plan)
    return read_account(connection, user_id)
