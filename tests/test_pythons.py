"""What `make test-pythons` finds, leaves out and compares; it runs itself in CI."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.pythons import (
    QUICK,
    ROOT,
    LeftOutError,
    Python,
    Result,
    candidates,
    differences,
    discover,
    probe,
    stated_versions,
)

THIS = f"{sys.version_info[0]}.{sys.version_info[1]}"


def _script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_quick_tests_are_there() -> None:
    assert [path for path in QUICK if not (ROOT / path.removeprefix("--ignore=")).exists()] == []


def test_interpreters_are_sought_on_the_path_and_among_the_versions_of_pyenv(
    tmp_path: Path,
) -> None:
    wanted = [
        _script(tmp_path / "bin" / "python3.12", ""),
        _script(tmp_path / "pyenv" / "versions" / "3.13.0" / "bin" / "python3.13", ""),
    ]
    for name in ("python3", "python3.10", "python3.12-config", "python3.13t", "pip3.12"):
        _script(tmp_path / "bin" / name, "")
    environment = {
        "PATH": f"{tmp_path / 'bin'}::{tmp_path / 'absent'}",
        "PYENV_ROOT": str(tmp_path / "pyenv"),
    }
    assert list(candidates(environment)) == wanted


def test_an_interpreter_that_does_not_run_is_left_out_with_the_reason(tmp_path: Path) -> None:
    shim = _script(tmp_path / "shim", "echo 'pyenv: python3.12: command not found' >&2\nexit 127")
    other = _script(tmp_path / "other", "echo '[\"pypy\", 3, 13, 1]'")
    old = _script(tmp_path / "old", "echo '[\"cpython\", 3, 9, 1]'")
    this = Path(sys.executable)
    found, left_out = discover([shim, this, other, old, tmp_path / "absent", this], [THIS])
    assert [str(python) for python in found] == [".".join(map(str, sys.version_info[:3]))]
    assert left_out[shim] == "does not run: pyenv: python3.12: command not found"
    assert left_out[other] == "is pypy 3.13.1"
    assert left_out[old] == "is cpython 3.9.1"
    assert left_out[tmp_path / "absent"].startswith("does not run: ")
    assert discover([this], []) == (
        [],
        {this: f"is {probe(this)}, which the classifiers of pyproject.toml do not name"},
    )
    with pytest.raises(LeftOutError):
        probe(shim)


def test_the_newest_of_two_interpreters_of_one_version_is_tried(tmp_path: Path) -> None:
    paths = [
        _script(tmp_path / str(n) / "python3.12", f"echo '[\"cpython\", 3, 12, {n}]'")
        for n in (3, 11, 7)
    ]
    found, left_out = discover(paths, ["3.12"])
    assert found == [Python(paths[1], (3, 12, 11))]
    assert left_out == {}


def test_the_python_that_runs_this_is_among_those_that_the_classifiers_name() -> None:
    stated = stated_versions()
    assert "3.11" in stated
    assert THIS in stated


def test_a_digest_that_is_other_or_absent_on_one_of_them_is_named() -> None:
    results = {
        "3.11.7": Result(1, "", {"a": "1", "b": "2", "c": "3"}),
        "3.12.1": Result(1, "", {"a": "1", "b": "other", "c": "3"}),
        "3.13.0": Result(None, "", {"a": "1", "b": "2", "d": "4"}),
    }
    assert differences(results) == ["b", "c", "d"]
    assert differences({"3.11.7": results["3.11.7"]}) == []
