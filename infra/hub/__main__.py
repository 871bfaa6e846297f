"""`python -m infra.hub`: write test_input.json and .runpod/tests.json anew, after a change here."""

from pathlib import Path

import msgspec

from infra.hub.inputs import test_input, tests

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    for path, said in ((ROOT / "test_input.json", test_input()), (TESTS, tests())):
        packed = msgspec.json.format(msgspec.json.encode(said), indent=2)
        path.write_bytes(packed + b"\n")


TESTS = ROOT / ".runpod" / "tests.json"

if __name__ == "__main__":
    main()
