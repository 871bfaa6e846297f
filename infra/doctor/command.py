"""`python -m infra doctor`: the command line."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from infra.doctor.examination import examine
from infra.doctor.findings import Mark
from infra.doctor.patient import Patient
from infra.doctor.photo import PATIENCE_S
from shared.environment import SettingsError, is_url

ILL = 1
DOES_NOT_FIT = 2
EPILOG = """\
It reads the API's own settings from the environment: PUBLIC_URL, GPU_CALLBACK_SECRET,
CORS_ORIGINS, RUNPOD_API_KEY, RUNPOD_ENDPOINT_ID and R2_*. It makes an account, sends one photo
drawn by code, which takes seconds of a GPU, and erases both. Exit codes: 0 all is well, 1 there is
trouble, 2 the call or the environment does not fit."""


def main(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """The exit code, as `--help` explains it."""
    options = _parser().parse_args(arguments)
    try:
        patient = Patient.from_env(
            os.environ if environ is None else environ, options.api or "", options.origin
        )
    except SettingsError as error:
        sys.stderr.write(f"The environment does not fit: {error}.\n")
        return DOES_NOT_FIT
    troubles = 0
    for finding in examine(patient, photo=options.photo, patience=options.patience):
        troubles += finding.mark is Mark.TROUBLE
        sys.stdout.write(f"{finding.mark:<8}{finding.part:<10}{finding.sentence}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{troubles} troubles.\n" if troubles else "All is well.\n")
    return ILL if troubles else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra doctor",
        description="Look at a deployment from outside and say what is wrong with it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--api", type=_url, metavar="URL", help="where the API is, if not at PUBLIC_URL"
    )
    parser.add_argument(
        "--origin", type=_url, action="append", default=[], help="of a page; besides CORS_ORIGINS"
    )
    parser.add_argument(
        "--no-photo", dest="photo", action="store_false", help="send nothing to the GPU"
    )
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=PATIENCE_S,
        metavar="SECONDS",
        help=f"for the photo, {PATIENCE_S:.0f} by default",
    )
    return parser


def _url(text: str) -> str:
    if not is_url(text):
        raise argparse.ArgumentTypeError("must be an http or https URL")
    return text.rstrip("/")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1.0 <= value <= 86400.0:
        raise argparse.ArgumentTypeError("must be 1 to 86400 seconds")
    return value
