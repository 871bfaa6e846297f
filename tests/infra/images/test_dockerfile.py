"""Reading Dockerfiles and .dockerignore."""

from pathlib import Path

import pytest

from infra.images.context import BuildContext, parse_ignore
from infra.images.dockerfile import Malformed, parse

TWO_STAGES = """
# a comment
ARG BASE=python:3.11.14-slim
ARG KIND=plain
FROM ${BASE} AS packages
RUN python -m venv /venv \\
    # said in between
    && pip install '.[api]'
FROM ${BASE} AS weights-plain
FROM ${BASE} AS weights-baked
RUN false
FROM weights-${KIND} AS weights
FROM ${BASE}
COPY --from=packages --chown=1:1 /venv /venv
COPY --from=weights /models /models
ENV A=1 B=two
ENTRYPOINT ["python", "-m", "x"]
"""


def test_stages_have_their_arguments_filled_in_and_lines_joined() -> None:
    file = parse(TWO_STAGES)
    assert [stage.image for stage in file.stages] == [
        "python:3.11.14-slim",
        "python:3.11.14-slim",
        "python:3.11.14-slim",
        "weights-plain",
        "python:3.11.14-slim",
    ]
    (run,) = file.stages[0].all("RUN")
    assert run.text == "python -m venv /venv && pip install '.[api]'"
    assert run.line == 6
    assert file.final.all("COPY")[0].flags == {"from": "packages", "chown": "1:1"}
    assert file.final.all("ENV")[0].pairs == {"A": "1", "B": "two"}
    entry = file.final.last("ENTRYPOINT")
    assert entry is not None
    assert entry.exec_form == ["python", "-m", "x"]


def test_only_what_the_last_stage_needs_is_built() -> None:
    built = [stage.name for stage in parse(TWO_STAGES).built]
    assert built == ["packages", "weights-plain", "weights", "4"]


@pytest.mark.parametrize("text", ["RUN true", "FROM a b c d", "FROM a\nRUN true \\"])
def test_what_nobody_could_build_is_told(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


def test_the_last_pattern_decides_what_is_sent(tmp_path: Path) -> None:
    ignored = "*\n# comment\n!code\n!README.md\n**/__pycache__\n**/*.pyc\n**/.env*\n"
    context = BuildContext(tmp_path, parse_ignore(ignored))
    sent = ["code/a.py", "code/b/c.py", "README.md"]
    kept_back = [".git/config", "code/__pycache__/a", "code/b/c.pyc", "code/b/.env.local", "a.py"]
    for name in (*sent, *kept_back):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [name for name in (*sent, *kept_back) if context.holds(name)] == sent
    assert list(context.files("code")) == ["code/a.py", "code/b/c.py"]
