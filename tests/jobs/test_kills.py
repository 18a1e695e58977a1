"""Promise 3, for every command that writes: killed at any moment, it leaves all or nothing.

`python -m tests.kills --n 500` does the same five hundred times.
"""

from __future__ import annotations

from tests.programs import run_module


def test_a_command_that_is_killed_at_any_moment_leaves_all_or_nothing() -> None:
    done = run_module("tests.kills", "--n", "30", "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert "30 kills in 2 stores: nothing acknowledged is lost" in done.stdout


def test_the_kills_find_out_a_publication_that_is_not_one_step() -> None:
    done = run_module("tests.kills", "--n", "200", "--without-rename")
    assert done.returncode == 1
    assert "AssertionError" in done.stderr
    assert "is there in part" in done.stderr
