"""The albums of a demo: the sample albums with a rule that shows well, or a person's own photos."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from msgspec import Struct

from edge_api.domain.plans import LIMITS, Plan
from infra.client import RuleAction
from infra.demo.arguments import Options
from infra.demo.drawing import Drawing
from infra.demo.refusal import Refused
from infra.samples import encode_jpeg
from shared.presets import PRESETS
from shared.rules import InvalidRules, RequestedRule, resolve_rules

SHOWCASE: dict[str, dict[str, RuleAction]] = {
    "interior": {"Wall": RuleAction("recolor", "teal"), "Floor": RuleAction("tone", "warm")},
    "seller": {"Body": RuleAction("recolor", "terracotta")},
}
"""The rules for photos that come without one, by preset."""


class Photo(Struct, frozen=True, eq=False):
    """`read` gives the file's bytes, as they are uploaded; `suffix` is that of its file name."""

    name: str
    suffix: str
    read: Callable[[], bytes]


class Album(Struct, frozen=True):
    """What one job is about. No `paths`: the sample album of the preset.

    Where `protect` is None, the preset's defaults are protected.
    """

    title: str
    preset: str
    concepts: dict[str, RuleAction]
    protect: list[str] | None = None
    paths: tuple[Path, ...] = ()


def plan_albums(options: Options) -> list[Album]:
    """The albums to run, in order.

    Raises Refused for rules that do not resolve and for more photos than a free account takes.
    """
    if options.photos:
        _check_count(len(options.photos))
        return [_album("Your photos", options.preset or "interior", options)]
    ruled = options.concepts is not None or options.protect is not None
    presets = [options.preset or "interior"] if options.preset or ruled else list(SHOWCASE)
    return [_album(f"{preset.capitalize()} album", preset, options) for preset in presets]


def photos_of(album: Album, drawing: Drawing) -> list[Photo]:
    """The album's photos; waits until those of a sample album are drawn."""
    if album.paths:
        return [Photo(path.name, path.suffix, path.read_bytes) for path in album.paths]
    samples = drawing.album(album.preset)
    return [Photo(sample.name, ".jpg", cache(partial(encode_jpeg, sample))) for sample in samples]


def _album(title: str, preset: str, options: Options) -> Album:
    concepts = SHOWCASE[preset] if options.concepts is None else options.concepts
    _check_rules(preset, concepts, options.protect or [])
    return Album(title, preset, concepts, options.protect, options.photos)


def _check_count(count: int) -> None:
    limits = LIMITS[Plan.FREE]
    most = min(limits.items, limits.credits)
    if count > most:
        raise Refused(
            f"PHOTOS: {count} photos were given; the free plan that the demo signs up for has "
            f"{limits.credits} credits, one for each photo, and takes {most} photos in a job"
        )


def _check_rules(preset: str, concepts: dict[str, RuleAction], protect: list[str]) -> None:
    """The service would say the same, but only once everything is running."""
    asked = {name: RequestedRule(rule.action, rule.value) for name, rule in concepts.items()}
    try:
        resolve_rules(PRESETS[preset], asked, protect)
    except InvalidRules as error:
        told = [_told(p.path, p.message, p.suggestions) for p in error.problems]
        raise Refused("; ".join(told)) from error


def _told(path: str, message: str, suggestions: tuple[str, ...]) -> str:
    option, _, place = path.partition(".")
    where = {"concepts": "RULE", "protect": "PROTECT"}.get(option.partition("[")[0], option)
    concept = place.rpartition(".")[0] or place
    nearest = f" (known: {', '.join(suggestions)})" if suggestions else ""
    return f"{where}: {concept + ': ' if concept else ''}{message}{nearest}"
