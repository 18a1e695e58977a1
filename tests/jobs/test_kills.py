"""Promise 3, for every command that writes: killed at any moment, it leaves all or nothing.

`python -m tests.kills --n 500` does the same five hundred times.
"""

from __future__ import annotations

import re

from tests.programs import run_module


def test_a_command_that_is_killed_at_any_moment_leaves_all_or_nothing() -> None:
    done = run_module("tests.kills", "--n", "30", "--seed", "7")
    assert done.returncode == 0, done.stderr
    found = re.search(r"30 kills in 2 stores, (\d+) of them in the middle of the work", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) >= 24


def test_the_kills_find_out_a_publication_that_is_not_one_step() -> None:
    done = run_module("tests.kills", "--n", "200", "--without-rename")
    assert done.returncode == 1
    assert "AssertionError" in done.stderr
    assert re.search("is there in part|The header cannot be read", done.stderr)
