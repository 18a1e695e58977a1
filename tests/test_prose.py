"""Help texts, messages and docstrings use plain engineering English, without the worst idioms.

Each pattern is an idiom that readers of other mother tongues stumble over, with what to write.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from tests.cli_reference import reference
from tunixrt.cli.base import COMMANDS
from tunixrt.cli.main import root

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).resolve().parent.parent / "tunixrt"

#: Every package, and every module beside them.
PARTS = tuple(
    sorted(
        path.name
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    )
)

IDIOMS = {
    r"\b(?:one|two|three|[0-9]+|lines?|tokens?|events?|nats|samples?|records?|objects?|documents?)"
    r" an? (?:event|line|token|step|row|sample|epoch|record|part|batch)\b": "two lines per event",
    r"\b(?:whoever|whomever|whosever|nobody|somebody)\b": "the caller, another process, no reader",
    r"\b(?:hold|holds|held|holding)(?: \w+){0,4} against\b": "check A against B, compare A with B",
    r"\b(?:go|goes|going|went) on\b": "resumes, continues",
    r"\b(?:anew|afresh)\b": "restarts, rebuilt",
    r"\bat most so (?:many|much)\b|\bso many (?:of|as)\b": "N; at most N",
    r"(?<![Tt]here )\b(?:is|are|was|were) no (?!longer|more)\w+": "is not an X; does not exist",
    r"\bthere (?:is|are|was|were) none\b": "does not exist",
    r"\bmend(?:s|ed|ing)?\b": "fix, repair",
    r"\b(?:dear|dearer)\b": "expensive",
    r"\bsooner\b": "earlier",
    r"\b(?:stands?|stood) (?:in|there|beside)\b|\blies? in\b": "is in",
    r"\b(?:is|are) told\b": "receives",
    r"\blikeliest\b": "most probable, nearest",
    r"\bfor ever\b": "permanently",
    r"\bonce more\b": "again, a second time",
}


def found_in(text: str) -> list[str]:
    """The idioms in a text, each with what to write."""
    plain = " ".join(text.split())
    return [
        f"{match[0]!r}: write {better!r} ({plain[max(0, match.start() - 40) : match.end() + 30]})"
        for pattern, better in IDIOMS.items()
        for match in re.finditer(pattern, plain, re.IGNORECASE)
    ]


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """The docstrings and other string literals of a module, with their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def comments_of(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are comments; neighbours are read as one."""
    begun, lines = 0, list[str]()
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], start=1):
        if line.lstrip().startswith("#"):
            begun = begun or number
            lines.append(line.strip(" #:"))
        elif lines:
            yield begun, " ".join(lines)
            begun, lines = 0, []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_is_plain(name: str) -> None:
    # As in tests.cli_reference: click keeps the first help option that it makes of a command.
    names = root.context_settings["help_option_names"]
    context = click.Context(root, info_name="tunixrt", help_option_names=names)
    command = root.get_command(context, name)
    assert command is not None
    waiting = [(context, name, command)]
    while waiting:
        parent, called, one = waiting.pop()
        inner = click.Context(one, info_name=called, parent=parent)
        assert not found_in(one.get_help(inner)), inner.command_path
        if isinstance(one, click.Group):
            waiting += [(inner, sub, below) for sub, below in one.commands.items()]


def test_the_reference_of_the_command_line_is_plain() -> None:
    assert not found_in(reference())


@pytest.mark.parametrize("package", PARTS)
def test_the_messages_docstrings_and_comments_of_a_package_are_plain(package: str) -> None:
    place = PACKAGE / package
    modules = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    assert modules
    problems = [
        f"{path.relative_to(PACKAGE)}:{line}: {problem}"
        for path in modules
        for line, text in (*texts_of(path), *comments_of(path))
        for problem in found_in(text)
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    "text",
    [
        "A part has two lines\nan event.",
        "whoever reads it",
        "It is held against the data.",
        "Training goes on.",
        "made anew",
        "At most so many.",
        "This is no trace.",
        "There are none.",
        "Sweep mends it.",
        "It stands in the manifest.",
        "the likeliest token",
    ],
)
def test_the_idioms_are_recognised(text: str) -> None:
    assert found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "It is no longer selected.",
        "a recommendation",
        "one of a line",
        "standing order",
        "held out",
    ],
)
def test_other_words_are_left_alone(text: str) -> None:
    assert not found_in(text)
