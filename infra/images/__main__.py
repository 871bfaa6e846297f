"""`python -m infra.images lint | check | smoke`: the images, two of them without an engine.

`lint` reads the Dockerfiles. `check` also carries out their steps in a temporary folder and starts
both programs from there; it installs everything, torch included, and takes minutes. `smoke`
starts images that were built: the API by itself, the handler with the emulated Runpod.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from infra.images.context import BuildContext, open_context
from infra.images.dockerfile import Dockerfile, Malformed, read_dockerfile
from infra.images.lint import dockerfiles, lint
from infra.images.rehearsal import StepFailed, rehearse
from infra.images.smoke import container, smoke_api, smoke_handler
from infra.images.starting import STARTS

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """1 where an image has a fault or does not start."""
    options = _parser().parse_args(arguments)
    if options.command == "smoke":
        return _smoke(options.api, options.handler)
    context = open_context(ROOT)
    paths = {name: path for name, path in dockerfiles(ROOT).items() if name in options.image}
    faults = _lint(paths, context) + _hadolint(list(paths.values()))
    if faults or options.command == "lint":
        return 1 if faults else 0
    passed = [_check(name, path, context) for name, path in paths.items()]
    return 0 if all(passed) else 1


def _lint(paths: dict[str, Path], context: BuildContext) -> int:
    faults = [
        f"{path.relative_to(ROOT)}: {fault}"
        for path in paths.values()
        for fault in _faults(path, context)
    ]
    _tell("\n".join(faults) if faults else f"lint: {len(paths)} Dockerfiles, no fault")
    return len(faults)


def _faults(path: Path, context: BuildContext) -> list[str]:
    try:
        return lint(read_dockerfile(path), context)
    except Malformed as error:
        return [str(error)]


def _hadolint(paths: Sequence[Path]) -> int:
    beside = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    program = beside or shutil.which("hadolint")
    if program is None:
        _tell("hadolint: not installed, left out")
        return 0
    ended = subprocess.run([program, *map(str, paths)], check=False)  # noqa: S603
    _tell(f"hadolint: {'no fault' if ended.returncode == 0 else 'faults'}")
    return ended.returncode


def _check(name: str, path: Path, context: BuildContext) -> bool:
    file = read_dockerfile(path)
    _tell(f"{name}: {path.relative_to(ROOT)}")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="images-") as folder:
        try:
            _rehearse(name, file, context, Path(folder))
        except StepFailed as error:
            _tell(f"{name}: {error}")
            return False
    _tell(f"{name}: ok after {time.monotonic() - started:.0f} s")
    return True


def _rehearse(name: str, file: Dockerfile, context: BuildContext, folder: Path) -> None:
    root = rehearse(file, context, folder, _tell)
    files = (one for one in root.path("/venv").resolve().rglob("*") if one.is_file())
    _tell(f"  packages: {sum(one.stat().st_size for one in files) / 1e6:.0f} MB")
    STARTS[name](root, file.final, _tell)


def _smoke(api: str, handler: str) -> int:
    given = msgspec.json.decode((ROOT / "test_input.json").read_bytes())["input"]
    try:
        _tell(f"smoke: {api} answers {smoke_api(container(api, '/data'))}")
        output = smoke_handler(container(handler, "/cache"), given)
    except StepFailed as error:
        _tell(f"smoke: {error}")
        return 1
    _tell(f"smoke: {handler} did a job, engine {output['engine']}")
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infra.images")
    commands = parser.add_subparsers(dest="command", required=True)
    names = tuple(dockerfiles(ROOT))
    for name in ("lint", "check"):
        command = commands.add_parser(name)
        command.add_argument("--image", choices=names, nargs="+", default=names)
    smoked = commands.add_parser("smoke")
    for name in names:
        smoked.add_argument(f"--{name}", required=True, metavar="IMAGE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
