"""The composition root: settings in, application out."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import httpx
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from msgspec import Struct

from edge_api.clients.workers import WorkerQueue
from edge_api.controllers.accounts import AuthController, MeController
from edge_api.controllers.callbacks import CallbackController
from edge_api.controllers.envelope import (
    domain_error,
    http_error,
    internal_error,
    unavailable,
    undecodable,
)
from edge_api.controllers.health import HealthController
from edge_api.controllers.jobs import JobController
from edge_api.controllers.metrics import metrics_page
from edge_api.controllers.middleware import RequestLog
from edge_api.controllers.openapi import docs_asset, openapi_config
from edge_api.controllers.presets import PresetController
from edge_api.controllers.queue import QueueController
from edge_api.controllers.rules import RuleController
from edge_api.domain.addresses import Proxies
from edge_api.domain.errors import DomainError
from edge_api.services import Services
from edge_api.services.accounts import Accounts
from edge_api.services.attempts import Policy
from edge_api.services.billing import Billing
from edge_api.services.cached import Ages
from edge_api.services.callbacks import Callbacks
from edge_api.services.cost import Previews
from edge_api.services.counters import Counters
from edge_api.services.dispatch import Dispatcher
from edge_api.services.erasure import Eraser
from edge_api.services.expiry import Expiry
from edge_api.services.export import Exports
from edge_api.services.health import VERSION, Health
from edge_api.services.idempotency import Idempotency
from edge_api.services.jobs import Jobs, Objects
from edge_api.services.leases import Leases
from edge_api.services.limits import CallLimiter
from edge_api.services.links import Links
from edge_api.services.loops import Pulse, repeat
from edge_api.services.meter import Meter
from edge_api.services.metrics import Access, Metrics, Promises
from edge_api.services.queue import open_queue
from edge_api.services.reconcile import Reconciler
from edge_api.services.retention import Retention, keeping
from edge_api.services.rules import Rules
from edge_api.settings import DispatchTo, Settings
from edge_api.storage.addresses import open_database
from edge_api.storage.database import Database, DatabaseUnavailable
from edge_api.storage.migrate import upgrade
from edge_api.storage.rate_limits import Rate
from edge_api.telemetry import Tracing, start_tracing
from shared.environment import Mode
from shared.objects import ObjectStore
from shared.presign import Presigner

MAX_BODY = 256 * 1024
"""Bytes; a rule with 32 concepts is a few kB. Photos never pass through here."""


class Intervals(Struct, frozen=True):
    """Seconds between the steps of the background loops; events wake them earlier.

    `figures` is how old those that are read may be at `/metrics`.
    """

    dispatch: float = 1.0
    reconcile: float = 2.0
    expire: float = 30.0
    figures: Ages = Ages()


class Watch(Struct, frozen=True):
    """What looks on while the service works."""

    counters: Counters
    tracing: Tracing
    pulse: Pulse


def create_app(
    settings: Settings,
    *,
    objects: Objects | None = None,
    runpod_transport: httpx.AsyncBaseTransport | None = None,
    intervals: Intervals | None = None,
) -> Litestar:
    """Build the service. What is passed in takes the place of the real client, for tests."""
    production = settings.mode is Mode.PRODUCTION
    queue = settings.dispatch is DispatchTo.QUEUE
    database_url = settings.database_url.reveal()
    upgrade(database_url)
    database = open_database(database_url)
    storage = (settings.storage_endpoint, settings.storage_bucket, settings.storage_access_key)
    storage_secret = settings.storage_secret_key.reveal()
    store = objects or ObjectStore(*storage, storage_secret)
    leases = Leases(database, settings.queue_tokens, settings.queue_lease)
    runpod = open_queue(settings, database, transport=runpod_transport, arrived=leases.wake)
    links = Links(Presigner(*storage, storage_secret))
    wakes = (asyncio.Event(), asyncio.Event())
    eraser = Eraser(database, store, runpod, settings.patience.queue + settings.patience.job)
    counters = Counters(VERSION)
    watch = Watch(counters, start_tracing(settings.tracing, VERSION), Pulse(counters.observe_lag))
    ages = (intervals or Intervals()).figures
    endpoint = settings.runpod_endpoint_id
    services = Services(
        accounts=Accounts(database, settings),
        rules=Rules(database),
        jobs=Jobs(database, store, links, lambda: _wake(wakes)),
        previews=Previews(database, _meter(settings)),
        links=links,
        callbacks=Callbacks(database, settings.callback_secrets, _policy(settings), counters),
        health=Health(database, store, watch.pulse, endpoint, settings.queue_age_limit),
        calls=CallLimiter(database, _call_rate(settings)),
        idempotency=Idempotency(database, settings.patience.key),
        proxies=Proxies(settings.trusted_proxies),
        eraser=eraser,
        exports=Exports(database),
        metrics=Metrics(
            database,
            endpoint,
            counters,
            _access(settings),
            ages,
            promises=Promises(settings.free_credits_per_day, keeping(settings)),
            workers=lambda: runpod.workers(endpoint),
        ),
        leases=leases,
    )

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        loops = {
            "erase": eraser.step,
            "retain": Retention(database, store, settings).step,
            "bill": Billing(database, runpod, _meter(settings)).step,
        }
        spaced = intervals or Intervals(expire=settings.expire_interval)
        background = _start(database, runpod, settings, spaced, wakes, loops, watch)
        try:
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await services.metrics.close()
            await runpod.close()
            await database.close()
            await asyncio.to_thread(watch.tracing.close)

    app = Litestar(
        route_handlers=[
            AuthController,
            MeController,
            PresetController,
            RuleController,
            JobController,
            CallbackController,
            HealthController,
            metrics_page,
            *([QueueController] if queue else []),
            *([] if production else [docs_asset]),
        ],
        dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
        exception_handlers={
            DomainError: domain_error,
            DatabaseUnavailable: unavailable,
            HTTPException: http_error,
            UnicodeDecodeError: undecodable,
            RecursionError: undecodable,
            Exception: internal_error,
        },
        request_max_body_size=MAX_BODY,
        cors_config=CORSConfig(
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID", "Idempotency-Key"],
            expose_headers=["X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"],
            max_age=600,
        ),
        lifespan=[lifespan],
        openapi_config=None if production else openapi_config(VERSION, queue=queue),
        state=State({"services": services}),
        logging_config=None,
    )
    app.asgi_handler = RequestLog(
        app.asgi_handler,
        services.calls.rate,
        encrypted=production,
        counters=counters,
        tracing=watch.tracing,
    )
    return app


def _call_rate(settings: Settings) -> Rate | None:
    return Rate(settings.calls_per_minute, 60.0) if settings.calls_per_minute else None


def _access(settings: Settings) -> Access:
    return Access(settings.metrics_token, public=settings.mode is not Mode.PRODUCTION)


def _policy(settings: Settings) -> Policy:
    return Policy(settings.max_attempts, settings.patience, _meter(settings))


def _meter(settings: Settings) -> Meter:
    return Meter(settings.gpu_rate, settings.batch_concurrency)


def _wake(events: tuple[asyncio.Event, ...]) -> None:
    for event in events:
        event.set()


def _start(
    database: Database,
    runpod: WorkerQueue,
    settings: Settings,
    intervals: Intervals,
    wakes: tuple[asyncio.Event, asyncio.Event],
    more: Mapping[str, Callable[[], Awaitable[bool]]],
    watch: Watch,
) -> list[asyncio.Task[None]]:
    looking_on = (watch.counters, watch.tracing)
    dispatch = Dispatcher(database, runpod, settings, *looking_on).step
    reconcile = Reconciler(database, runpod, _policy(settings), *looking_on).step
    steps = {"expire": Expiry(database, settings).step, **more}
    failed = watch.counters.count_failed_step
    loops = [
        repeat("dispatch", dispatch, intervals.dispatch, wakes[0], failed),
        repeat("reconcile", reconcile, intervals.reconcile, wakes[1], failed),
        *(
            repeat(name, step, intervals.expire, asyncio.Event(), failed)
            for name, step in steps.items()
        ),
        watch.pulse.beat(),
    ]
    return [asyncio.create_task(loop) for loop in loops]
