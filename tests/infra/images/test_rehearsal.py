"""A rehearsal does what the Dockerfile says, with the files that it copies and no others."""

from pathlib import Path

import pytest

from infra.images.context import BuildContext, parse_ignore
from infra.images.dockerfile import parse
from infra.images.rehearsal import Root, StepFailed, rehearse, run

FILE = """
FROM python:3.11.14-slim AS made
WORKDIR /work-area
COPY code code
RUN python -c 'open("made.txt", "w").write("by python")'
FROM python:3.11.14-slim
WORKDIR /app
COPY --from=made /work-area /made
COPY code/a.py README.md ./
ENV DATABASE_URL=sqlite:////data/edge.db \\
    CACHE=/data/cache OTHER=http://data/x
RUN mkdir -p /data \\
    && useradd palette
"""


def rehearsed(folder: Path, text: str = FILE) -> tuple[Root, list[str]]:
    sources = folder / "sources"
    (sources / "code").mkdir(parents=True)
    (sources / "code" / "a.py").write_text("print('a')\n")
    (sources / "README.md").touch()
    (sources / "other.txt").touch()
    context = BuildContext(sources, parse_ignore("*\n!code\n!README.md"))
    told = list[str]()
    return rehearse(parse(text), context, folder / "stages", told.append), told


def test_stages_see_their_own_files_alone(tmp_path: Path) -> None:
    root, told = rehearsed(tmp_path)
    assert sorted(one.name for one in root.path(".").iterdir()) == ["README.md", "a.py"]
    assert root.path("/made/made.txt").read_text() == "by python"
    assert root.path("/data").is_dir()
    assert told[-1] == "  left to the image: useradd palette"
    assert run(root, ["python", "a.py"]) == "a\n"


def test_paths_of_the_image_are_found_on_this_machine(tmp_path: Path) -> None:
    root, _ = rehearsed(tmp_path)
    seen = root.variables()
    assert seen["DATABASE_URL"] == f"sqlite:///{root.folder}/data/edge.db"
    assert seen["CACHE"] == f"{root.folder}/data/cache"
    assert seen["OTHER"] == "http://data/x"


def test_a_step_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    broken = FILE.replace('open("made.txt", "w")', "broken")
    with pytest.raises(StepFailed, match="NameError"):
        rehearsed(tmp_path, broken)


def test_a_file_that_is_not_sent_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StepFailed):
        rehearsed(tmp_path, FILE.replace("COPY code code\n", "RUN python code/a.py\n"))
