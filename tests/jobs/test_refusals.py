"""Promise 3 and 8, for every command that writes: a full or read-only disk gets a sentence."""

from __future__ import annotations

import os
import re
import shutil

import pytest

from tests.programs import run_module
from tests.refusals import CANNOT_MOUNT
from tests.writers import WRITERS


def _n_refused(kind: str, *prefix: str) -> int:
    done = run_module("tests.refusals", kind, prefix=prefix)
    if done.returncode == CANNOT_MOUNT or done.stderr.startswith("unshare: "):
        pytest.skip(f"no file system of one's own can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    (n_refused,) = re.findall(r": (\d+) times refused with a sentence", done.stdout)
    return int(n_refused)


def test_a_write_that_is_cut_short_gets_a_sentence_and_leaves_only_what_is_whole() -> None:
    assert _n_refused("short") >= 3 * len(WRITERS)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs Linux's unshare")
@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_disk_that_refuses_gets_a_sentence_and_leaves_only_what_is_whole(kind: str) -> None:
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    assert _n_refused(kind, "unshare", "--mount", *as_root) >= len(WRITERS)
