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

_FEW = ("trace add", "snapshot create", "run publication", "stream")


@pytest.mark.slow
def test_every_disk_that_a_power_cut_can_leave_obeys_the_rules() -> None:
    done = run_module("tests.power_cuts", "--draws", "3")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    ((n_disks, n_different),) = re.findall(r"^(\d+) disks, (\d+)", done.stdout, re.MULTILINE)
    assert int(n_disks) > 2000
    assert int(n_different) > 300


@pytest.mark.parametrize("order", [NO_FSYNC, FILES_ONLY, RENAME_FIRST])
def test_without_fsync_or_in_another_order_something_is_lost_or_half_there(order: str) -> None:
    only = [word for name in _FEW for word in ("--only", name)]
    done = run_module("tests.power_cuts", "--draws", "8", "--order", order, *only)
    assert (done.returncode, done.stderr) == (1, "")
    for name in _FEW:
        (n_broken,) = re.findall(rf"^{name} .* (\d+)$", done.stdout, re.MULTILINE)
        assert int(n_broken) > 0, f"nobody noticed that {name} did without"
