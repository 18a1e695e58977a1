"""Every command that README.md and docs/ show runs, and prints what the page says it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_reference import PATH, reference
from tests.docs.error_table import PAGE, error_table, page_with
from tests.docs.sessions import console_blocks, matches, python_blocks, run_command

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def environment() -> dict[str, str]:
    """The environment of a newcomer who has activated the virtual environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TUNIXRT", "SOURCE_DATE"))}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if console_blocks(text := page.read_text(encoding="utf-8")) or python_blocks(text)
    ],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_sessions_of_a_page_run_as_shown(page: Path, tmp_path: Path) -> None:
    directory = tmp_path
    for session in console_blocks(page.read_text(encoding="utf-8")):
        for command in session:
            code, printed = run_command(command.text, directory, environment())
            shown = "\n".join(command.expected)
            assert code == 0, f"$ {command.text}\nexit code {code}\n{printed}"
            assert matches(command.expected, printed), (
                f"$ {command.text}\n--- the page shows ---\n{shown}\n--- it prints ---\n{printed}"
            )
            moved = command.text.rpartition("cd ")[2].split()[0] if "cd " in command.text else ""
            directory = directory / moved
    for program in python_blocks(page.read_text(encoding="utf-8")):
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment(), check=False
        )
        assert done.returncode == 0, program


def test_the_command_line_reference_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_the_page_on_python_lists_every_error() -> None:
    shown = PAGE.read_text(encoding="utf-8")
    assert shown == page_with(error_table()), "run `python -m tests.docs.error_table`"


def test_a_session_is_compared_line_by_line() -> None:
    page = "```console\n$ echo one \\\n  two\none two\n$ cat <<'END'\na\nEND\na\n...\n```\n"
    ((first, second),) = console_blocks(page)
    assert first.text == "echo one \\\n  two"
    assert first.expected == ["one two"]
    assert second.text == "cat <<'END'\na\nEND"
    assert matches(["run ... done"], "run 123 done\n")
    assert not matches(["run ... done"], "run 123\n")
    assert matches(["a", "...", "z"], "a\nb\nc\nz\n")
    assert not matches([], "something\n")
