"""The words of `python -m edge_api admin`."""

import argparse
from datetime import date

from edge_api.domain.plans import Plan
from edge_api.services.cost import By
from edge_api.storage.dead_letters import DeadLetterState


def add_admin(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands. Each prints JSON on stdout; `topic` and `verb` say which it was."""
    topics = parser.add_subparsers(dest="topic", required=True)
    _users(topics.add_parser("users", help="accounts: their balance and plan"))
    _jobs(topics.add_parser("jobs", help="jobs with their whole history"))
    _letters(topics.add_parser("dead-letters", help="items that no attempt could finish"))
    _cost(topics.add_parser("cost", help="GPU seconds and dollars of jobs that ended"))
    _endpoint(topics.add_parser("endpoint", help="what Runpod does with our work"))
    topics.add_parser("reconcile", help="look after every attempt now, as the service does in time")
    topics.add_parser("ledger", help="compare every balance with its ledger; 1 where one differs")


def _users(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True)
    show = verbs.add_parser("show", help="profile, open jobs and ledger")
    grant = verbs.add_parser("grant", help="add credits, or take some with a negative number")
    plan = verbs.add_parser("plan", help="set the plan; the balance stays as it is")
    for verb in (show, grant, plan):
        verb.add_argument("user_id")
    grant.add_argument("credits", type=int)
    plan.add_argument("plan", choices=[plan.value for plan in Plan])


def _jobs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True)
    show = verbs.add_parser("show", help="the job, its items, attempts, dead letters and money")
    show.add_argument("job_id")


def _cost(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", choices=[by.value for by in By], default=By.DAY.value)
    parser.add_argument(
        "--since", type=date.fromisoformat, help="YYYY-MM-DD (UTC): jobs that ended then or later"
    )


def _endpoint(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("show", help="breaker, workers as Runpod says, open attempts, last success")
    verbs.add_parser("close-breaker", help="submit again at once, without waiting for its pause")


def _letters(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True)
    listed = verbs.add_parser("list", help="newest first")
    states = [state.value for state in DeadLetterState]
    listed.add_argument("--state", choices=[*states, "any"], default=DeadLetterState.OPEN.value)
    listed.add_argument("--limit", type=int, default=50)
    show = verbs.add_parser("show", help="one of them, with its job's history")
    replay = verbs.add_parser(
        "replay", help="send its photos again as a new job of the same user, who pays for it"
    )
    replay.add_argument("--free", action="store_true", help="grant the credits that it costs")
    drop = verbs.add_parser("drop", help="let it go; its credits were refunded before")
    for verb in (show, replay, drop):
        verb.add_argument("letter_id")
