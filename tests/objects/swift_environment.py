"""The virtual environment of OpenStack Swift: found at `.venv-swift`, or made there.

`python -m tests.objects.swift_environment` makes it ahead of the tests.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".venv-swift"
REQUIREMENTS = Path(__file__).with_name("swift-requirements.txt")

_LOCK = "lock"
_STAMP = "complete"


class NotMade(Exception):
    """The environment is not there and could not be made; the text is one line."""


def swift_python(folder: Path = FOLDER, build: Callable[[Path], None] | None = None) -> Path:
    """The interpreter of a complete environment, which `build` makes where there is none.

    Of several processes that ask at once, one makes it and the others wait. One that was left
    half made, or made for other pins or another Python, is made again. Raises NotMade.
    """
    # Without the lock, which an ordinary user may not open in a folder of somebody else's.
    if not _is_complete(folder):
        try:
            _make_once(folder, build or _build)
        except OSError as error:
            raise NotMade(f"{folder.name}: {error}") from error
    return folder / "bin" / "python"


def _make_once(folder: Path, build: Callable[[Path], None]) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_complete(folder):
            return
        _clear(folder)
        build(folder)
        (folder / _STAMP).write_text(_fingerprint())


def _is_complete(folder: Path) -> bool:
    try:
        made_for = (folder / _STAMP).read_text()
    except OSError:
        return False
    return made_for == _fingerprint() and (folder / "bin" / "python").exists()


def _fingerprint() -> str:
    """What the environment follows from."""
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return f"{sys.implementation.cache_tag} {pins}\n"


def _clear(folder: Path) -> None:
    """All but the lock: whoever waits holds it open."""
    (folder / _STAMP).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.name == _LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _build(folder: Path) -> None:
    _run(sys.executable, "-m", "venv", str(folder))
    pip = (str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    # Wheels alone: what would have to be compiled fails at once and says so.
    wheels = ("--quiet", "--retries", "2", "--only-binary", ":all:")
    _run(*pip, "install", *wheels, "--requirement", str(REQUIREMENTS))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NotMade(said[-1] if said else f"{command[0]} ended with {done.returncode}")


def main() -> int:
    """Print where the interpreter is; 1 where the environment cannot be made."""
    try:
        print(swift_python())
    except NotMade as error:
        sys.stderr.write(f"Swift's environment could not be made: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
