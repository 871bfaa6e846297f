"""A demo from start to end: the stack comes up, the albums run, the sheet is drawn, all stops."""

import tempfile
import time
from pathlib import Path

from msgspec import Struct
from rich.console import Console

from infra.client import ClientError, JobStillOpen, PaletteClient, TransferFailed, Unreachable
from infra.demo.albums import Album, photos_of
from infra.demo.drawing import Drawing
from infra.demo.flow import AlbumOutcome, run_album
from infra.demo.progress import album_progress
from infra.demo.sheet import SheetAlbum, draw_sheet, save_sheet
from infra.local.logs import tail
from infra.local.stack import Stack

SHEET_NAME = "contact-sheet.png"
TAIL_LINES = 20


class DemoFailed(Exception):
    """Why there is no result, and the end of the log that may explain it."""


class Finished(Struct, frozen=True, eq=False):
    """`worker_log` is the end of the worker's log, which is gone with the stack."""

    albums: list[AlbumOutcome]
    sheet: Path
    seconds: float
    worker_log: str


def run_demo(console: Console, albums: list[Album], output: Path) -> Finished:
    """Everything that is started is stopped when this returns or raises.

    Raises DemoFailed, StackError, and OSError where results cannot be saved.
    """
    started = time.monotonic()
    prefix = "palette-demo-"
    with (
        Drawing([album.preset for album in albums if not album.paths]) as drawing,
        tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as data_dir,
        Stack(Path(data_dir)) as stack,
    ):
        with console.status("Starting object store, Runpod emulator, API and worker"):
            stack.wait_ready()
        console.print(f"The stack is ready at {stack.api_url}.")
        outcomes = _run_albums(console, stack, albums, drawing, output)
        worker_log = tail(stack.log_dir / "worker.log", TAIL_LINES)
    sheet = output / SHEET_NAME
    save_sheet(draw_sheet([_shown(outcome) for outcome in outcomes]), sheet)
    return Finished(outcomes, sheet, time.monotonic() - started, worker_log)


def _run_albums(
    console: Console, stack: Stack, albums: list[Album], drawing: Drawing, output: Path
) -> list[AlbumOutcome]:
    """One after the other: a free account has one open job at a time."""
    try:
        with PaletteClient(stack.api_url, trust_env=False) as client:
            session = client.sign_up()
            console.print(f"Signed up: plan {session.plan}, {client.me().credits} credits.")
            outcomes = [
                _run_album(console, stack, client, album, drawing, output) for album in albums
            ]
            console.print(f"Credits left: {client.me().credits}.")
            return outcomes
    except ClientError as error:
        stack.check()
        log = stack.log_dir / f"{_culprit(error)}.log"
        end = tail(log, TAIL_LINES)
        raise DemoFailed(f"{error}\nThe end of {log.name}:\n{end}") from error


def _run_album(
    console: Console,
    stack: Stack,
    client: PaletteClient,
    album: Album,
    drawing: Drawing,
    output: Path,
) -> AlbumOutcome:
    with console.status(f"{album.title}: reading the photos"):
        photos = photos_of(album, drawing)
    title = f"{album.title}: {_rule_text(album)}"
    with album_progress(console, title, [photo.name for photo in photos]) as progress:
        return run_album(client, album, photos, output / album.preset, progress, stack.check)


def _rule_text(album: Album) -> str:
    return ", ".join(
        f"{name} {rule.action} {rule.value or 'by default'}"
        for name, rule in album.concepts.items()
    )


def _shown(outcome: AlbumOutcome) -> SheetAlbum:
    """With what the service made of the rule: defaults filled in, names as it knows them."""
    return SheetAlbum(
        title=outcome.album.title,
        concepts=outcome.executed.concepts,
        protect=outcome.executed.protect,
        photos=[photo.shown for photo in outcome.outcomes],
    )


def _culprit(error: ClientError) -> str:
    """The process whose log says most about an error."""
    match error:
        case TransferFailed():
            return "store"
        case Unreachable(call=call) if "://" in call:
            return "store"
        case JobStillOpen():
            return "worker"
        case _:
            return "api"
