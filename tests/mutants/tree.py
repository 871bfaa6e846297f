"""A copy of the working tree, in which defences are taken away one at a time."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.mutants.defence import ROOT, Defence

_UNPACKED = ".postgres"
"""Where PostgreSQL's binaries may lie beside the code; git does not know it."""


class Tree:
    """A folder that holds what git tracks and what it does not ignore, as it is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def without(self, defence: Defence) -> Generator[None]:
        """The defence is missing for as long as the context lasts. Raises DefenceMoved."""
        path = self.folder / defence.file
        whole = path.read_text()
        path.write_text(defence.remove(whole))
        try:
            yield
        finally:
            path.write_text(whole)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run this interpreter in the copy; what it and its children import comes from there."""
        # A file is changed and changed back within a second, which no cache of bytecode sees.
        environment = {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )


@contextmanager
def copied_tree() -> Generator[Tree]:
    """A copy for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        target = Path(folder).resolve()
        for name in _files():
            if (ROOT / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target / name)
        if (ROOT / _UNPACKED).exists():
            (target / _UNPACKED).symlink_to(ROOT / _UNPACKED)
        yield Tree(target)


def _files() -> list[str]:
    """What is tracked and still there, and what is new."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name]
