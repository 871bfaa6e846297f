"""`make bench`: print every table, or those named: `python -m tests.benchmarks api presigning`."""

import sys

from tests.benchmarks import api, photo, presigning

TABLES = {"presigning": presigning.run, "api": api.run, "photo": photo.run}


def main() -> int:
    names = sys.argv[1:] or list(TABLES)
    if unknown := [name for name in names if name not in TABLES]:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(TABLES)}", file=sys.stderr)
        return 2
    for name in names:
        TABLES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
