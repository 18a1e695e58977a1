"""Test modules import from what makes things for tests, and never from one another."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parent


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def is_test_module(module: str) -> bool:
    return module.startswith("tests.") and module.rpartition(".")[2].startswith("test_")


def test_no_file_imports_a_test_module() -> None:
    files = [*TESTS.rglob("*.py"), *TESTS.parent.joinpath("benchmarks").glob("*.py")]
    assert len(files) > 100
    assert {
        f"{path.relative_to(TESTS.parent)}: {module}"
        for path in files
        for module in imported(path)
        if is_test_module(module)
    } == set()


def test_what_makes_things_for_tests_holds_no_tests() -> None:
    assert not list(TESTS.joinpath("making").glob("test_*.py"))
