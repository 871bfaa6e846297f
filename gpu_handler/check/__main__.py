"""`python -m gpu_handler.check`: what the worker does before it takes jobs, and nothing after it.

`--pixels` needs no settings: it decodes, paints and encodes alone, as a build of the image does,
with every action, so that the image keeps what they compile.
"""

import argparse
import os
import sys
import time
from importlib.metadata import version

from gpu_handler.backends.base import Edges
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.check.photo import CheckFailed, prove, rehearse
from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.handler import choose_brushwork
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.segment.choice import choose_engine
from gpu_handler.settings import Settings
from shared.environment import SettingsError
from shared.logs import configure_logs


def main(arguments: list[str] | None = None) -> int:
    """0 where all is well; else 1, and a line on stderr that says what is not."""
    options = _parser().parse_args(arguments)
    try:
        told = check_image() if options.pixels else check_worker()
    except (SettingsError, CheckFailed, DeviceLost, DeviceExhausted) as error:
        sys.stderr.write(f"check: {' '.join(str(error).split())}\n")
        return 1
    sys.stdout.write(f"check: ok, {told}\n")
    return 0


def check_image() -> str:
    for edges in Edges:
        rehearse(Brushwork((CpuBackend(),), edges))
    return check_pixels(Brushwork((CpuBackend(),)))


def check_worker() -> str:
    """Settings, weights, device, pixels and the SDK; raises what `main` tells."""
    settings = Settings.from_env(os.environ)
    configure_logs(settings.log_level, sys.stderr)
    engine = choose_engine(settings)
    pixels = check_pixels(choose_brushwork(settings))
    return f"{engine.name}, {pixels}, runpod {version('runpod')}"


def check_pixels(brushwork: Brushwork) -> str:
    started = time.monotonic()
    proof = prove(brushwork)
    return f"{proof.backend} pixels in {time.monotonic() - started:.1f} s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu_handler.check")
    parser.add_argument("--pixels", action="store_true", help="needs no settings and no model")
    return parser


if __name__ == "__main__":
    sys.exit(main())
