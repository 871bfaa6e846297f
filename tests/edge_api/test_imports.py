"""What importing the service brings along."""

import subprocess
import sys

HEAVY = ["torch", "runpod", "numpy", "cv2", "PIL", "gpu_handler", "infra", "sqlalchemy.orm"]

PROBE = """
import sys
import edge_api.__main__
print(*sorted(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_the_service_pulls_in_nothing_heavy() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", PROBE, *HEAVY, "edge_api.asgi"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    # asgi is there to show that the probe sees what is loaded.
    assert loaded.stdout.split() == ["edge_api.asgi"]
