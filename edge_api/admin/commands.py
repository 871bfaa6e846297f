"""Runs one admin command against the service's own database, bucket and endpoint."""

import argparse
import asyncio
import sys
import time

import msgspec

from edge_api.domain.errors import DomainError
from edge_api.domain.plans import Plan
from edge_api.services.attempts import Policy
from edge_api.services.cost import By, read_costs
from edge_api.services.endpoint import ask_workers, read_endpoint
from edge_api.services.history import change_plan, grant_credits, read_account, read_history
from edge_api.services.meter import Meter
from edge_api.services.queue import open_queue
from edge_api.services.reconcile import Reconciler
from edge_api.services.replay import Replays
from edge_api.settings import Settings
from edge_api.storage.addresses import open_database
from edge_api.storage.database import Database
from edge_api.storage.dead_letters import DeadLetterState, find_dead_letter, list_dead_letters
from edge_api.storage.dispatches import make_due
from edge_api.storage.endpoints import close_breaker
from edge_api.storage.ledger import drifting_users
from shared.objects import ObjectStore, StorageError


def run_admin(options: argparse.Namespace, settings: Settings) -> int:
    """0; 1 where a check fails or what is asked for is not possible, with a line on stderr."""
    try:
        answer, code = asyncio.run(_run(options, settings))
    except (DomainError, StorageError) as error:
        sys.stderr.write(f"edge_api admin: {error}\n")
        return 1
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n")
    return code


async def _run(options: argparse.Namespace, settings: Settings) -> tuple[object, int]:
    database = open_database(settings.database_url.reveal())
    try:
        match options.topic:
            case "users":
                return await _users(database, options), 0
            case "jobs":
                return await database.read(read_history, options.job_id), 0
            case "dead-letters":
                return await _letters(database, settings, options), 0
            case "cost":
                return await database.read(read_costs, By(options.by), options.since), 0
            case "endpoint":
                return await _endpoint(database, settings, options), 0
            case "reconcile":
                return await _reconcile(database, settings), 0
            case _:
                return await _ledger(database)
    finally:
        await database.close()


async def _users(database: Database, options: argparse.Namespace) -> object:
    match options.verb:
        case "grant":
            return await database.write(
                grant_credits, options.user_id, options.credits, time.time()
            )
        case "plan":
            return await database.write(change_plan, options.user_id, Plan(options.plan))
        case _:
            return await database.read(read_account, options.user_id)


async def _letters(database: Database, settings: Settings, options: argparse.Namespace) -> object:
    replays = Replays(database, _store(settings))
    match options.verb:
        case "list":
            state = None if options.state == "any" else DeadLetterState(options.state)
            return await database.read(list_dead_letters, state, options.limit)
        case "replay":
            job_id = await replays.replay(options.letter_id, free=options.free)
            return await database.read(read_history, job_id)
        case "drop":
            await replays.drop(options.letter_id)
        case _:
            pass
    letter = await database.read(find_dead_letter, options.letter_id)
    if letter is None:
        return None
    return {"letter": letter, "history": await database.read(read_history, letter.job_id)}


async def _endpoint(database: Database, settings: Settings, options: argparse.Namespace) -> object:
    endpoint_id = settings.runpod_endpoint_id
    if options.verb == "close-breaker":
        await database.write(close_breaker, endpoint_id)
    runpod = open_queue(settings, database)
    try:
        workers = await ask_workers(runpod, endpoint_id)
    finally:
        await runpod.close()
    return await database.read(read_endpoint, endpoint_id, workers, time.time())


async def _reconcile(database: Database, settings: Settings) -> object:
    """One look at every attempt that Runpod has."""
    due = await database.write(make_due, time.time())
    runpod = open_queue(settings, database)
    reconciler = Reconciler(database, runpod, _policy(settings))
    try:
        while await reconciler.step():
            pass
    finally:
        await runpod.close()
    return {"looked_at": due}


async def _ledger(database: Database) -> tuple[object, int]:
    drifting = await database.read(drifting_users)
    found = [
        {"user_id": user, "balance": credits, "ledger": total} for user, credits, total in drifting
    ]
    return {"drifting": found}, 1 if found else 0


def _policy(settings: Settings) -> Policy:
    meter = Meter(settings.gpu_rate, settings.batch_concurrency)
    return Policy(settings.max_attempts, settings.patience, meter)


def _store(settings: Settings) -> ObjectStore:
    return ObjectStore(
        settings.storage_endpoint,
        settings.storage_bucket,
        settings.storage_access_key,
        settings.storage_secret_key.reveal(),
    )
