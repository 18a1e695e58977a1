"""Promise 3: what was acknowledged survives a power cut, and what was not is whole or not there.

`python -m tests.power_cuts` builds more of the disks that a power cut can leave.
"""

from __future__ import annotations

import re
import sys

import pytest

from tests.power_cuts import FILES_ONLY, NO_FSYNC, RENAME_FIRST
from tests.programs import run_module

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into Linux's /proc")

#: Draws for each moment: enough for the commands that have few moments at which order counts.
_FEW = {"trace add": 6, "snapshot create": 24, "run publication": 4, "stream": 2}


@pytest.mark.slow
def test_every_disk_that_a_power_cut_can_leave_obeys_the_rules() -> None:
    done = run_module("tests.power_cuts", "--draws", "3")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    ((n_disks, n_different),) = re.findall(r"^(\d+) disks, (\d+)", done.stdout, re.MULTILINE)
    assert int(n_disks) > 2000
    assert int(n_different) > 300


@pytest.mark.parametrize("order", [NO_FSYNC, FILES_ONLY, RENAME_FIRST])
def test_without_fsync_or_in_another_order_something_is_lost_or_half_there(order: str) -> None:
    for name, n_draws in _FEW.items():
        done = run_module(
            "tests.power_cuts", "--draws", str(n_draws), "--order", order, "--only", name
        )
        assert (done.returncode, done.stderr) == (1, "")
        (n_broken,) = re.findall(rf"^{name} .* (\d+)$", done.stdout, re.MULTILINE)
        assert int(n_broken) > 0, f"nobody noticed that {name} did without"
