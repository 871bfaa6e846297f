"""What has to hold for every image, told with the line that breaks it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.images.context import BuildContext
from infra.images.dockerfile import Dockerfile, Stage

SECRET = re.compile(r"(^|_)(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?|(ACCESS|API|PRIVATE)_KEY)")
SHELLS = {"sh", "bash", "dash", "ash", "tini", "dumb-init"}

_TAG = re.compile(r"[\w./-]+(?::\d+/[\w./-]+)?:(?P<tag>[\w.-]+)(?:@sha256:[0-9a-f]{64})?")
_PACKAGE = re.compile(r"'?\.\[[a-z0-9,]+\]'?")

Rule = Callable[[Dockerfile, BuildContext], Iterator[str]]


def lint(file: Dockerfile, context: BuildContext) -> list[str]:
    """One sentence for each fault; empty where there is none."""
    return [fault for rule in RULES for fault in rule(file, context)]


def pinned(file: Dockerfile, context: BuildContext) -> Iterator[str]:
    """A tag with three numbers at least, so that it names one release."""
    for stage in file.stages:
        if file.stage(stage.image) is not None:
            continue
        found = _TAG.fullmatch(stage.image)
        if found is None or len(re.findall(r"\d+", found["tag"].split("-")[0])) < 3:
            yield f"line {stage.line}: {stage.image} is no exact tag"


def no_root(file: Dockerfile, context: BuildContext) -> Iterator[str]:
    user = file.final.last("USER")
    if user is None:
        yield "the last stage sets no USER"
    elif not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", user.text):
        # A name says nothing to whoever has to prove that it is not root, such as Kubernetes.
        yield f"line {user.line}: USER is {user.text}, not a number above 0"


def first_process(file: Dockerfile, context: BuildContext) -> Iterator[str]:
    entry = file.final.last("ENTRYPOINT")
    words = entry.exec_form if entry else None
    if entry is None:
        yield "the last stage has no ENTRYPOINT"
    elif not words or words[0] in SHELLS:
        yield f"line {entry.line}: ENTRYPOINT does not start the program itself"
    command = file.final.last("CMD")
    if command is not None and command.exec_form is None:
        yield f"line {command.line}: CMD is in shell form"


def no_secrets(file: Dockerfile, context: BuildContext) -> Iterator[str]:
    for stage in file.stages:
        for one in stage.body:
            names = one.pairs if one.keyword == "ENV" else {one.text.partition("=")[0]: ""}
            if one.keyword in {"ENV", "ARG"}:
                for name in filter(SECRET.search, names):
                    yield f"line {one.line}: {one.keyword} {name} would stay in the image"
    for name in filter(SECRET.search, file.arguments):
        yield f"ARG {name} would stay in the image"


def copies(file: Dockerfile, context: BuildContext) -> Iterator[str]:
    for stage in file.stages:
        for one in stage.all("ADD"):
            yield f"line {one.line}: ADD fetches and unpacks; COPY says what is meant"
        for one in stage.all("COPY"):
            *sources, _ = one.text.split()
            for source in sources if "from" not in one.flags else ():
                if source.strip("./") == "":
                    yield f"line {one.line}: COPY takes the whole folder"
                elif not any(context.files(source)):
                    yield f"line {one.line}: {source} is not there, or ignored"


def installs(file: Dockerfile, context: BuildContext) -> Iterator[str]:
    """pip takes what pyproject.toml pins and nothing else; apt leaves nothing behind."""
    for stage in file.stages:
        for line, command in _commands(stage):
            words = command.split()
            if words[:2] == ["pip", "install"]:
                taken = [word for word in words[2:] if not word.startswith("-")]
                if not all(map(_PACKAGE.fullmatch, taken)):
                    yield f"line {line}: pip installs {' '.join(taken)}"
            if "apt-get install" in command and "--no-install-recommends" not in command:
                yield f"line {line}: apt-get installs recommendations"
        for one in stage.all("RUN"):
            if "apt-get update" in one.text and "rm -rf /var/lib/apt/lists/" not in one.text:
                yield f"line {one.line}: package lists stay in the layer"


RULES: tuple[Rule, ...] = (pinned, no_root, first_process, no_secrets, copies, installs)


def _commands(stage: Stage) -> Iterator[tuple[int, str]]:
    for one in stage.all("RUN"):
        for command in one.text.split("&&"):
            yield one.line, command.strip()


def dockerfiles(root: Path) -> dict[str, Path]:
    """The images of this repository, by name."""
    return {"api": root / "infra" / "Dockerfile.edge", "handler": root / "Dockerfile.gpu"}
