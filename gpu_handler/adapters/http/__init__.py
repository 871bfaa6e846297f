"""One's own GPU server: Runpod's job API in the handler itself, with a queue that is bounded.

State is in memory: what a process that ended had taken is unknown to the next one (404), and the
service sends what is missing of it again.
"""

import asyncio
import logging
import socket
import time

from gpu_handler.adapters.http.app import create_app
from gpu_handler.adapters.http.backlog import Backlog
from gpu_handler.adapters.http.desk import Desk
from gpu_handler.adapters.http.server import DeskServer, listen
from gpu_handler.answering import make_handler
from gpu_handler.fetch import Fetcher
from gpu_handler.pipeline.worker import Worker
from gpu_handler.settings import Settings

log = logging.getLogger(__name__)


def serve(settings: Settings, worker: Worker, fetcher: Fetcher) -> None:
    """Take jobs until told to stop. SystemExit(1) where the device was lost, so that whoever
    looks after this process starts another, and where the port cannot be had."""
    try:
        listener = listen(settings.http_host, settings.http_port)
    except OSError as error:
        log.critical("HTTP_HOST, HTTP_PORT: cannot listen there: %s", error.strerror)
        raise SystemExit(1) from error
    with listener:
        asyncio.run(take_jobs(settings, worker, fetcher, listener))
    if worker.device.lost:
        raise SystemExit(1)


async def take_jobs(
    settings: Settings, worker: Worker, fetcher: Fetcher, listener: socket.socket
) -> None:
    """Until a signal, or until the device is lost; the jobs that run have ended then."""
    assert settings.handler_api_key is not None
    handler = make_handler(worker, fetcher)
    desk = Desk(handler, Backlog(settings.http_queue_size, time.monotonic), worker)
    server = DeskServer(create_app(desk, settings.handler_api_key), desk)
    host, port, *_ = listener.getsockname()
    log.info("jobs are taken on %s, port %d", host, port)
    await server.serve(sockets=[listener])
