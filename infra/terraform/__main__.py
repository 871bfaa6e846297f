"""`python -m infra.terraform [--providers]`: what holds, what does not, what was not looked at."""

import argparse
import shutil
import sys

from infra.terraform.checking import FOLDER, Outcome, check


def main(arguments: list[str] | None = None) -> int:
    """1 where a step failed. What was skipped is said and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m infra.terraform")
    parser.add_argument(
        "--providers", action="store_true", help="fetch the providers and validate everything"
    )
    options = parser.parse_args(arguments)
    findings = check(FOLDER, shutil.which("terraform"), providers=options.providers)
    for finding in findings:
        reason = f": {finding.text}" if finding.outcome is Outcome.SKIPPED else ""
        sys.stdout.write(f"{finding.step:<10} {finding.outcome}{reason}\n")
        if finding.outcome is Outcome.FAILED:
            sys.stdout.write(finding.text)
    return int(any(finding.outcome is Outcome.FAILED for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
