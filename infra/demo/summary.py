"""The tables at the end: seconds per stage, what was found and kept, warnings, sums."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.demo.flow import AlbumOutcome, Outcome

TOTAL = "total"
OTHER_COLUMNS = 62
"""Characters that the seven stages take beside the name of a photo."""


def print_summary(console: Console, albums: Sequence[AlbumOutcome]) -> None:
    """Two tables over all albums, then every warning once."""
    name_width = max(16, min(32, console.width - OTHER_COLUMNS))
    console.print(_timing_table(albums, name_width))
    console.print(_finding_table(albums, name_width))
    for album in albums:
        _print_warnings(console, album)


def _timing_table(albums: Sequence[AlbumOutcome], name_width: int) -> Table:
    table = _table("Seconds per stage", name_width)
    stages = _stages(albums)
    for stage in stages:
        table.add_column(stage, justify="right", no_wrap=True)
    sums = dict.fromkeys(stages, 0.0)
    for album in albums:
        for idx, outcome in enumerate(album.outcomes):
            timings = outcome.detail.item.timings or {}
            for stage in stages:
                sums[stage] += timings.get(stage, 0.0)
            table.add_row(_name(idx, outcome), *(_seconds(timings.get(stage)) for stage in stages))
        table.add_section()
    table.add_row("sum", *(_seconds(sums[stage]) for stage in stages), style="bold")
    return table


def _finding_table(albums: Sequence[AlbumOutcome], name_width: int) -> Table:
    table = _table("Found and kept", name_width)
    table.add_column("instances found")
    table.add_column("protected px", justify="right", no_wrap=True)
    table.add_column("changed", justify="right", no_wrap=True)
    table.add_column("notes", justify="right", no_wrap=True)
    for album in albums:
        for idx, outcome in enumerate(album.outcomes):
            table.add_row(_name(idx, outcome), *_findings(outcome))
        table.add_section()
    table.add_row("sum", *_finding_sums(albums), style="bold")
    return table


def _findings(outcome: Outcome) -> tuple[Text, str, str, str]:
    item = outcome.detail.item
    notes = str(len(item.warnings))
    if item.report is None:
        reason = f"{item.error_code or 'failed'}: {item.error or 'no reason was given'}"
        return Text(reason, "red"), "-", "-", notes
    found = [f"{name} {count}" for name, count in item.report.instances.items() if count]
    changed = f"{item.report.protected_pixels_changed:,}"
    return Text(", ".join(found) or "-"), f"{item.report.protected_pixels:,}", changed, notes


def _finding_sums(albums: Sequence[AlbumOutcome]) -> tuple[str, str, Text, str]:
    outcomes = [outcome for album in albums for outcome in album.outcomes]
    items = [outcome.detail.item for outcome in outcomes]
    reports = [item.report for item in items if item.report is not None]
    changed = sum(report.protected_pixels_changed for report in reports)
    return (
        f"{sum(outcome.done for outcome in outcomes)} of {len(outcomes)} photos done",
        f"{sum(report.protected_pixels for report in reports):,}",
        Text(f"{changed:,}", style="bold red" if changed else "bold green"),
        str(sum(len(item.warnings) for item in items)),
    )


def _print_warnings(console: Console, album: AlbumOutcome) -> None:
    """Each sentence once, with the photos that it is about."""
    about: dict[str, list[str]] = {}
    for warning in album.executed.warnings:
        about.setdefault(warning.message, [])
    for idx, outcome in enumerate(album.outcomes):
        for warning in outcome.detail.item.warnings:
            about.setdefault(warning.message, []).append(f"{idx:02d}")
    for message, photos in about.items():
        where = f"{album.album.preset} {', '.join(photos)}".rstrip()
        console.print(Text.assemble(("  note  ", "yellow"), f"{where}: {message}"), soft_wrap=True)


def _stages(albums: Sequence[AlbumOutcome]) -> list[str]:
    """Every stage that was timed, in the worker's order, the total last."""
    timed = [
        stage
        for album in albums
        for outcome in album.outcomes
        for stage in outcome.detail.item.timings or {}
    ]
    return [stage for stage in dict.fromkeys(timed) if stage != TOTAL] + [TOTAL]


def _table(title: str, name_width: int) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("photo", no_wrap=True, overflow="ellipsis", max_width=name_width)
    return table


def _name(idx: int, outcome: Outcome) -> Text:
    return Text(f"{idx:02d} {outcome.photo.name}")


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
