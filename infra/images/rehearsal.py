"""A Dockerfile's steps carried out in a folder: what pip and Python do in it, they do here.

Each stage has a root of its own with the same paths below it, so that a file that the Dockerfile
does not copy is missing here as well. What only an image has is left out and told: system packages,
users, owners.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template

from msgspec import Struct, field

from infra.images.context import BuildContext
from infra.images.dockerfile import Dockerfile, Instruction

DONE_HERE = {"python", "pip", "mkdir"}
_LEFT_OUT = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET"}

Tell = Callable[[str], None]


class StepFailed(Exception):
    """A step ended with an error; `str()` has the end of what it said."""


class Root(Struct):
    """A stage on its way: `folder` stands for `/`, `environ` is its ENV."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict[str, str])
    cwd: str = "/"

    def path(self, inside: str) -> Path:
        return self.folder / os.path.normpath(
            f"{self.cwd}/{inside}" if inside[0] != "/" else inside
        ).lstrip("/")

    def outside(self, text: str) -> str:
        """`text` with the absolute paths of this stage as they are on this machine."""
        known = "|".join(re.escape(one.name) for one in self.folder.iterdir() if one.name != "bin")
        # sqlite:////data is an absolute path as well.
        begins = r"(?:(?<![\w./])|(?<=sqlite:///))"
        return re.sub(rf"{begins}/({known})\b", rf"{self.folder}/\1", text) if known else text

    def variables(self) -> dict[str, str]:
        """The machine's environment, which knows where packages are, below the stage's own."""
        outer = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
        own = {name: self.outside(value) for name, value in self.environ.items()}
        path = f"{self.folder}/bin:{outer.get('PATH', '')}"
        venv = self.folder / "venv" / "bin"
        return {**outer, **own, "PATH": f"{venv}:{path}" if "PATH" in own else path}


def rehearse(file: Dockerfile, context: BuildContext, folder: Path, tell: Tell) -> Root:
    """Carry out what the last stage needs, below `folder`; its root. Raises StepFailed."""
    roots = dict[str, Root]()
    for stage in file.built:
        roots[stage.name] = _begin(folder / stage.name, roots.get(stage.image))
        for one in stage.body:
            _step(one, roots[stage.name], roots, context, tell)
    return roots[file.final.name]


def _begin(folder: Path, base: Root | None) -> Root:
    (folder / "bin").mkdir(parents=True)
    for name in ("python", "python3"):
        # Without the pyvenv.cfg beside it this is the interpreter that an environment was made of.
        (folder / "bin" / name).symlink_to(sys.executable)
    if base is None:
        return Root(folder)
    for one in base.folder.iterdir():
        if one.name != "bin":
            shutil.copytree(one, folder / one.name, symlinks=True)
    return Root(folder, dict(base.environ), base.cwd)


def _step(
    one: Instruction, root: Root, roots: Mapping[str, Root], context: BuildContext, tell: Tell
) -> None:
    match one.keyword:
        case "WORKDIR":
            root.cwd = one.text
            root.path(".").mkdir(parents=True, exist_ok=True)
        case "ENV":
            root.environ |= {
                name: Template(value).safe_substitute(root.environ)
                for name, value in one.pairs.items()
            }
        case "COPY":
            _copy(one, root, roots, context)
        case "RUN":
            for command in one.text.split("&&"):
                _run(command.strip(), root, tell)
        case _:
            pass


def _copy(one: Instruction, root: Root, roots: Mapping[str, Root], context: BuildContext) -> None:
    *sources, target = one.text.split()
    if "from" in one.flags:
        # A link: environments do not move, and there are gigabytes in them.
        root.path(target).symlink_to(roots[one.flags["from"]].path(sources[0]))
        return
    for source in sources:
        for name in context.files(source):
            inside = Path(name).relative_to(source) if name != source else Path()
            into = root.path(target) / (inside if name != source else Path(name).name)
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(context.root / name, into)


def _run(command: str, root: Root, tell: Tell) -> None:
    words = shlex.split(command)
    if words[0] not in DONE_HERE:
        tell(f"  left to the image: {command}")
        return
    tell(f"  {command}")
    if words[0] == "mkdir":
        for word in words[1:]:
            if word.startswith("/"):
                root.path(word).mkdir(parents=True, exist_ok=True)
        return
    run(root, _environment_is_made(words, root))


def _environment_is_made(words: Sequence[str], root: Root) -> list[str]:
    # The folder that venv makes is not there yet, so nobody would know that it is inside.
    if words[:3] == ["python", "-m", "venv"]:
        return [*words[:3], *(str(root.path(word)) for word in words[3:])]
    return list(words)


def run(root: Root, words: Sequence[str], **environ: str) -> str:
    """What a program of the stage says; raises StepFailed where it does not end with 0."""
    ended = subprocess.run(  # noqa: S603 - what our own Dockerfile says
        program(root, words),
        cwd=root.path("."),
        env={**root.variables(), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        said = (ended.stdout + ended.stderr).splitlines()[-15:]
        raise StepFailed("\n".join([f"{shlex.join(words)} ended with {ended.returncode}", *said]))
    return ended.stdout


def program(root: Root, words: Sequence[str]) -> list[str]:
    """The words with their paths, and the program found as the stage would find it."""
    path = root.variables()["PATH"]
    found = shutil.which(words[0], path=path)
    return [found or words[0], *map(root.outside, words[1:])]
