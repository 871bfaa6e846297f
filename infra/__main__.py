"""`python -m infra deploy` and `python -m infra doctor`."""

import sys
from collections.abc import Sequence

USAGE = """\
usage: python -m infra deploy plan|apply|status|scale|destroy
       python -m infra doctor
Each explains itself with --help.
"""


def main(arguments: Sequence[str]) -> int:
    """The exit code: 2 where there is no such command."""
    try:
        match arguments:
            case ["deploy", *rest]:
                from infra.deploy import command as deploy

                return deploy.main(rest)
            case ["doctor", *rest]:
                from infra.doctor import command as doctor

                return doctor.main(rest)
            case ["-h" | "--help"]:
                sys.stdout.write(USAGE)
                return 0
            case _:
                sys.stderr.write(USAGE)
                return 2
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; run it again to go on.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
