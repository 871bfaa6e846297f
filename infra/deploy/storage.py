"""The bucket: there, open to the app's web build, and cleaned up after the service."""

from infra.deploy.bucket_rules import CorsRule
from infra.deploy.buckets import BucketSettings
from infra.deploy.deployment import BucketWish
from infra.deploy.step import Step, Verdict, changed, shown

CORS_HEADERS = ("content-type", "if-match", "if-none-match")
CORS_METHODS = ("GET", "HEAD", "PUT")


def plan_bucket(settings: BucketSettings, wish: BucketWish) -> list[Step]:
    """Raises StoreRefused."""
    subject = f"R2 bucket {wish.name}"
    if settings.exists():
        first = Step(subject, Verdict.AS_WANTED)
        cors, lifecycle = settings.cors(), settings.lifecycle()
    else:
        first = Step(subject, Verdict.CREATE, (f"+ bucket {wish.name}",), settings.create)
        cors, lifecycle = [], {}
    return [
        first,
        _plan_cors(settings, wanted_cors(wish), cors),
        _plan_lifecycle(settings, wish.lifecycle, lifecycle),
    ]


def wanted_cors(wish: BucketWish) -> list[CorsRule]:
    """Uploads and downloads by presigned URLs, which are all that is needed."""
    if not wish.cors_origins:
        return []
    return [CorsRule(wish.cors_origins, CORS_METHODS, CORS_HEADERS, ("ETag",), 3600)]


def _plan_cors(settings: BucketSettings, wanted: list[CorsRule], found: list[CorsRule]) -> Step:
    subject = f"R2 bucket {settings.name}: CORS"
    if _meant(found) == _meant(wanted):
        return Step(subject, Verdict.AS_WANTED)
    lines = [f"- {_line(rule)}" for rule in found] + [f"+ {_line(rule)}" for rule in wanted]
    return Step(subject, Verdict.CHANGE, tuple(lines), lambda: settings.set_cors(wanted))


def _plan_lifecycle(
    settings: BucketSettings, wanted: dict[str, int], found: dict[str, int]
) -> Step:
    subject = f"R2 bucket {settings.name}: lifecycle"
    if found == wanted:
        return Step(subject, Verdict.AS_WANTED)
    lines = tuple(
        changed(f"{prefix} deleted after days", found.get(prefix), wanted.get(prefix))
        for prefix in sorted(found.keys() | wanted.keys())
        if found.get(prefix) != wanted.get(prefix)
    )
    return Step(subject, Verdict.CHANGE, lines, lambda: settings.set_lifecycle(wanted))


def _meant(rules: list[CorsRule]) -> set[tuple[object, ...]]:
    """A store may give the parts of a rule back in another order."""
    return {
        (
            frozenset(rule.origins),
            frozenset(rule.methods),
            frozenset(rule.headers),
            frozenset(name.lower() for name in rule.exposed),
            rule.max_age,
        )
        for rule in rules
    }


def _line(rule: CorsRule) -> str:
    return f"{shown(rule.origins)}: {shown(rule.methods)} with {shown(rule.headers)}"
