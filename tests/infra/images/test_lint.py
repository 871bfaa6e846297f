"""Our images have no fault, and each rule sees the fault that it is there for."""

from pathlib import Path

import pytest

from infra.images.context import open_context
from infra.images.dockerfile import parse, read_dockerfile
from infra.images.lint import dockerfiles, lint

ROOT = Path(__file__).resolve().parents[3]

GOOD = """
ARG BASE=python:3.11.14-slim-bookworm
FROM ${BASE} AS packages
RUN pip install '.[api]'
FROM ${BASE}
RUN apt-get update && apt-get install --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY --from=packages /venv /venv
COPY shared shared
USER 10001:10001
ENTRYPOINT ["python", "-m", "edge_api"]
"""


@pytest.mark.parametrize("name", sorted(dockerfiles(ROOT)))
def test_our_images_have_no_fault(name: str) -> None:
    assert lint(read_dockerfile(dockerfiles(ROOT)[name]), open_context(ROOT)) == []


def test_an_image_without_fault_has_none() -> None:
    assert lint(parse(GOOD), open_context(ROOT)) == []


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ("3.11.14-slim-bookworm", "latest", "no exact tag"),
        ("3.11.14-slim-bookworm", "3.11", "no exact tag"),
        ("python:3.11.14-slim-bookworm", "python", "no exact tag"),
        ("USER 10001:10001\n", "", "no USER"),
        ("USER 10001:10001", "USER root", "not a number above 0"),
        ("USER 10001:10001", "USER 0", "not a number above 0"),
        ('["python", "-m", "edge_api"]', "python -m edge_api", "does not start the program"),
        ('["python", "-m", "edge_api"]', '["sh", "-c", "python"]', "does not start the program"),
        ("USER", "CMD serve\nUSER", "shell form"),
        ("USER", "ENV JWT_SECRET=abc\nUSER", "JWT_SECRET would stay"),
        ("USER", "ARG HF_TOKEN\nUSER", "HF_TOKEN would stay"),
        ("ARG BASE", "ARG API_KEY=1\nARG BASE", "API_KEY would stay"),
        ("COPY shared shared", "COPY . .", "whole folder"),
        ("COPY shared shared", "COPY tests tests", "not there, or ignored"),
        ("COPY shared shared", "COPY .env ./", "not there, or ignored"),
        ("COPY shared shared", "ADD https://x.test/a /a", "ADD"),
        ("'.[api]'", "'.[api]' requests", "requests"),
        (" --no-install-recommends", "", "recommendations"),
        (" && rm -rf /var/lib/apt/lists/*", "", "package lists"),
    ],
)
def test_each_fault_is_told(good: str, bad: str, told: str) -> None:
    assert good in GOOD
    faults = lint(parse(GOOD.replace(good, bad)), open_context(ROOT))
    assert len(faults) >= 1
    assert all(told in fault for fault in faults)


def test_what_a_local_run_leaves_is_never_sent() -> None:
    context = open_context(ROOT)
    for name in (".env", ".git/config", ".data/edge.db", "demo-output/a.png", ".venv/bin/python"):
        assert not context.holds(name), name
    for name in ("shared/.env", "edge_api/.env.production", "shared/__pycache__/a.pyc"):
        assert not context.holds(name), name


def test_the_handler_is_quiet_and_keeps_what_it_compiles() -> None:
    final = read_dockerfile(dockerfiles(ROOT)["handler"]).final
    environ: dict[str, str] = {}
    for one in final.all("ENV"):
        environ |= one.pairs
    assert environ["RUNPOD_LOG_LEVEL"] == "INFO", "at DEBUG the SDK logs whole results"
    for name in ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "HF_HOME"):
        assert environ[name].startswith(f"{environ['HOME']}/")
    assert any("gpu_handler.check --pixels" in one.text for one in final.all("RUN"))


def test_each_image_has_its_own_extras_and_code() -> None:
    for name, extras, code in (
        ("api", ".[api,otel]", {"shared", "edge_api"}),
        ("handler", ".[gpu,sam3,http]", {"shared", "gpu_handler", "test_input.json"}),
    ):
        file = read_dockerfile(dockerfiles(ROOT)[name])
        runs = [one.text for stage in file.built for one in stage.all("RUN")]
        assert sum("pip install" in one for one in runs) == 1
        assert any(extras in one for one in runs)
        copied = [one for one in file.final.all("COPY") if "from" not in one.flags]
        assert {one.text.split()[0] for one in copied} == code
