"""The campaign itself: a short one by default, the full one under `slow`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.campaign import ROOT, Campaign
from tests.fuzz.cases import FORMATS, Cases


def fuzz(keep: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz", "--keep", str(keep), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_two_hundred_of_each_format(tmp_path: Path) -> None:
    done = fuzz(tmp_path, "--count", "200", "--seed", "2", "--no-extremes")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert sum(int(row[-9]) for row in rows) == 200 * len(FORMATS)
    assert all(int(row[-8]) > 0 and int(row[-7]) > 0 for row in rows), "all refused, or none"


@pytest.mark.slow
def test_ten_thousand_of_each_format_and_those_made_by_hand(tmp_path: Path) -> None:
    done = fuzz(tmp_path, "--count", "10000")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_case_is_the_same_in_every_process() -> None:
    for format_ in FORMATS:
        first, second = (Cases(format_, 7, 40, False) for _ in range(2))
        assert [c.data for c in first.since(0)][23] == second.at(23).data


WORKER = """
import os, sys, time
start = int(sys.argv[-1])
def say(line): os.write(1, line.encode() + b"\\n")
for i in range(start, 4):
    say('{"type":"Begun","index":%d,"name":"n","kind":"k"}' % i)
    if i == 0: os.abort()
    if i == 1: time.sleep(60)
    grown = 10**10 if i == 2 else 0
    told = '{"type":"Done","index":%d,"outcome":"image","seconds":0.1,"grown":%d,"pixels":9}'
    say(told % (i, grown))
"""


def test_a_crash_a_hang_and_too_much_memory_are_named_and_their_files_kept(tmp_path: Path) -> None:
    worker = (sys.executable, "-c", WORKER)
    cases = Cases("png", 1, 4, False)
    campaign = Campaign(cases, tmp_path, worker, patience=1.0)
    campaign.run()
    crash, hang, greed = campaign.findings
    assert "ends the process" in crash.what
    assert hang.what == "hangs"
    assert "MiB" in greed.what
    assert Path(greed.file).read_bytes() == cases.at(2).data
    assert campaign.tallies["k"].outcomes["image"] == 2
