"""A pytest plugin for runs in the copy: it is the copy that is tested, and failing takes no time.

Run with `-p tests.mutants.laboratory --hypothesis-profile=laboratory`.
"""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

OURS = ("edge_api", "gpu_handler", "infra", "shared", "tests")

# A counterexample is enough; nobody reads the smallest one.
settings.register_profile(
    "laboratory",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    report_multiple_bugs=False,
    database=None,
)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends the run as a usage error where anything of ours came from elsewhere."""
    root = session.config.rootpath
    strays = [name for name, path in _imported() if not path.is_relative_to(root)]
    if strays:
        raise pytest.UsageError(f"not from the copy: {', '.join(strays)}")


def _imported() -> list[tuple[str, Path]]:
    return [
        (name, Path(module.__file__).resolve())
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in OURS and module.__file__ is not None
    ]
