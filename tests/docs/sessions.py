"""Console sessions in Markdown: the commands, and what they must print.

A fenced block that begins with ``` ```console ``` holds commands after ``$ `` (a line that ends in
a backslash or opens a here-document goes on) and below each the lines it prints, stdout and stderr
in the order they come. ``...`` stands for anything within a line, a line of its own for any lines.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<'?(\w+)'?")


@dataclass(frozen=True)
class Command:
    """One command of a session and the lines that follow it."""

    text: str
    expected: list[str]


def console_blocks(markdown: str) -> list[list[Command]]:
    """The sessions of a page, in order."""
    return [_commands(match[1]) for match in _BLOCK.finditer(markdown)]


def python_blocks(markdown: str) -> list[str]:
    """The programs of a page, in order."""
    return re.findall(r"^```python\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)


def _commands(block: str) -> list[Command]:
    commands: list[Command] = []
    lines = iter(block.splitlines())
    for line in lines:
        if not line.startswith("$ "):
            commands[-1].expected.append(line)
            continue
        text = line[2:]
        while text.endswith("\\"):
            text += "\n" + next(lines)
        heredoc = _HEREDOC.search(text)
        while heredoc and not text.endswith("\n" + heredoc[1]):
            text += "\n" + next(lines)
        commands.append(Command(text, []))
    return commands


def run_command(text: str, directory: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run one command in a shell; its exit code and everything it printed."""
    done = subprocess.run(
        ["/bin/sh", "-c", text],
        cwd=directory,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def matches(expected: list[str], printed: str) -> bool:
    """Whether what was printed is what the page shows."""
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += (
                ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \t]*\n"
            )
    return (
        re.fullmatch(pattern, printed if printed.endswith("\n") or not printed else printed + "\n")
        is not None
    )
