"""`python -m tests.fuzz --count 10000 --format all --seed 1`: damaged files through the decoder.

Each must give an image or an ImageError, within 10 seconds and the decoder's bound on memory.
Files that do not are kept, and the command ends with 1.
"""

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import Campaign, Finding, Tally
from tests.fuzz.cases import FORMATS, Cases

COLUMNS = ("image", "IMAGE_CORRUPT", "IMAGE_TRUNCATED", "UNSUPPORTED_IMAGE", "IMAGE_TOO_LARGE")


def main() -> int:
    options = _options()
    formats = FORMATS if options.format == "all" else (options.format,)
    print(_row("", "files", "images", "corrupt", "cut off", "other kind", "too large", "escaped",
               "slowest ms", "peak MiB"))  # fmt: skip
    findings = list[Finding]()
    for format_ in formats:
        cases = Cases(format_, options.seed, options.count, not options.no_extremes)
        campaign = Campaign(cases, options.keep)
        campaign.run()
        for kind, tally in campaign.tallies.items():
            print(_line(f"{format_} {kind}", tally), flush=True)
        findings += campaign.findings
    for finding in findings:
        print(f"{finding.case}: {finding.what} ({finding.file})")
    return 1 if findings else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="damaged files of each format")
    parser.add_argument("--format", choices=("all", *FORMATS), default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-extremes", action="store_true", help="leave out those made by hand")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="folder for finds")
    return parser.parse_args()


def _line(name: str, tally: Tally) -> str:
    counts = [tally.outcomes[column] for column in COLUMNS]
    total = tally.outcomes.total()
    escaped = total - sum(counts) - tally.outcomes["EMPTY_FILE"]
    peak, slowest = tally.peak / (1 << 20), tally.slowest * 1000
    return _row(name, total, *counts, escaped, f"{slowest:.0f}", f"{peak:.0f}")


def _row(name: str, *cells: object) -> str:
    return f"{name:22}" + "".join(f"{cell!s:>11}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
