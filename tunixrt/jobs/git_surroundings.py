"""What Git would do to the files of a store that must be committed: ignore or change them.

A `.gitignore` that many repositories have (``*.jsonl``, ``runs/``) keeps the log or the weights out
of every commit silently, and only a clone shows it. So Git itself is queried, once for its ignore
rules and once for attributes, with one path of each kind that a store writes and with the existing
files.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tunixrt.log.findings import DamagedError, entries
from tunixrt.log.git import GitError, git
from tunixrt.log.stored import refuse_links

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tunixrt.log.layout import Layout

_HEX: Final = "0" * 64
_OF_GIT: Final = (".gitattributes", ".gitignore")
_LOG: Final = (f"store/log/00/{_HEX}/segment.json", f"store/log/00/{_HEX}/0000.jsonl")
_RUN: Final = (
    "manifest.json",
    "SHA256SUMS",
    "metrics.jsonl",
    "ledger.jsonl",
    "predictions.jsonl",
    "model/model.safetensors",
    "model/config.json",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    f"environments/{_HEX}.json",
)
_COMMITTED: Final = (
    *_OF_GIT,
    "store/store.json",
    *_LOG,
    f"store/snapshots/{_HEX}.json",
    f"store/datasets/name/v1/{_HEX}/manifest.json",
    f"store/datasets/name/v1/{_HEX}/members-0000.jsonl",
    *(f"runs/{_HEX}/{name}" for name in _RUN),
    "evalsets/name.jsonl",
)
_DERIVED: Final = ("store/.tmp", ".tunixrt")
_ROOT: Final = "."
_ATTRIBUTES: Final = ("text", "merge", "filter", "ident", "working-tree-encoding", "export-ignore")

LINES: Final = (
    "!/store/",
    "!/store/**",
    "!/runs/",
    "!/runs/**",
    "!/evalsets/",
    "!/evalsets/**",
    "/store/.tmp/",
)
"""The lines that take precedence at the end of a `.gitignore`. A directory is re-included before
its files, and staged files are ignored again."""


class _Rule(NamedTuple):
    source: str
    line: int
    pattern: str


class Surroundings:
    """Git's rules for the paths of one store; Git is queried on construction.

    Attributes:
        is_repository: Whether a Git repository exists and Git is installed.
    """

    def __init__(self, layout: Layout) -> None:
        """Ask Git which paths its rules ignore.

        Raises:
            GitError: The repository cannot be read.
        """
        self._layout = layout
        self._rules: dict[str, _Rule] = {}
        # Git rejects paths beyond a symbolic link; `verify` reports those, and a derived link must
        # be ignored as a file is.
        committed = (*_COMMITTED, *_here(layout))
        self._paths = [path for path in committed if _link_on_the_way(layout, path) is None]
        self._derived = {d: _link_on_the_way(layout, d) or f"{d}/x" for d in _DERIVED}
        self._prefix = ""
        try:
            self._prefix = (
                git(layout.root, "rev-parse", "--show-prefix")
                .decode(errors="surrogateescape")
                .strip("\n")
            )
        except GitError:
            self.is_repository = False
            return
        self.is_repository = True
        command = ("check-ignore", "-v", "-z", "--no-index", "--stdin")
        given = _lines((*self._paths, *self._derived.values(), _ROOT))
        fields = _fields(git(layout.root, *command, given=given, no_is_an_answer=True))
        for source, line, pattern, path in zip(fields, fields, fields, fields, strict=True):
            if not pattern.startswith("!"):
                self._rules[path] = _Rule(source, int(line), pattern)

    def ignored(self) -> list[str]:
        """Sentences on rules that ignore what must be committed, each with the fix."""
        by_rule: dict[_Rule, list[str]] = {}
        for path in self._paths:
            if path in self._rules:
                by_rule.setdefault(self._rules[path], []).append(path)
        sentences, overruled = [], []
        for rule, paths in by_rule.items():
            others = f" and {len(paths) - 1} other kinds of files" if len(paths) > 2 else ""
            others = f" and {_shown(paths[1])}" if len(paths) == 2 else others
            remedy = self._only_remedy(rule)
            overruled += [] if remedy else paths
            sentences.append(
                f"{rule.source}, line {rule.line}: The rule `{rule.pattern}` keeps "
                f"{_shown(paths[0])}{others} out of Git, so that a clone lacks them.{remedy}"
            )
        if overruled:
            lines = [f"!/{path}" for path in _OF_GIT if path in overruled]
            listed = "".join(f"\n    {line}" for line in (*lines, *LINES))
            sentences.append(
                "Remove such rules, or overrule them with these lines, in this order, at the end "
                f"of {self._prefix}.gitignore:{listed}"
            )
        return sentences

    def exposed(self) -> list[str]:
        """The derived directories that Git does not ignore, relative to the root."""
        return [name for name, path in self._derived.items() if path not in self._rules]

    def attributes(self) -> list[str]:
        """What attributes make Git do to the bytes of a store: "text is auto (store/...)".

        Raises:
            GitError: Git returns an error.
        """
        paths = [path for path in self._paths if path not in _OF_GIT]
        command = ("check-attr", "-z", "--stdin", *_ATTRIBUTES)
        fields = _fields(git(self._layout.root, *command, given=_lines(paths)))
        found: dict[str, str] = {}
        for path, name, value in zip(fields, fields, fields, strict=True):
            if not _is_harmless(path, name, value):
                found.setdefault(f"{name} is {value}", path)
        return [f"{problem} for {_shown(path)}" for problem, path in found.items()]

    def _only_remedy(self, rule: _Rule) -> str:
        """What to do about a rule that no line of the store's own .gitignore can overrule."""
        tops = tuple(f"{self._prefix}{top}/" for top in ("store", "runs", "evalsets"))
        if rule.source.startswith(tops):
            return " Remove this line: rules in that directory take precedence."
        is_above = rule.source != f"{self._prefix}.gitignore"
        if self._prefix and is_above and self._rules.get(_ROOT) == rule:
            return " Remove this line: it ignores the directory that the whole store is in."
        return ""


def git_problems(layout: Layout) -> list[str]:
    """What Git would ignore or change in a store, as sentences; empty without Git."""
    try:
        around = Surroundings(layout)
        if not around.is_repository:
            return []
        problems = around.ignored()
        attributes = around.attributes()
    except GitError as error:
        return [str(error)]
    return [*problems, attributes_sentence(attributes)] if attributes else problems


def attributes_sentence(problems: list[str]) -> str:
    """A sentence on what `Surroundings.attributes` found, and what to do."""
    return (
        "Git may change files of the store, leave them out of archives, or stop their merges: "
        f"{', '.join(problems)}. Fix .gitattributes: `tunixrt init` adds the line `/store/** "
        "-text` where it is missing, and no later line may revoke it."
    )


def _is_harmless(path: str, name: str, value: str) -> bool:
    if name == "text":
        return value == "unset"
    if name == "merge":  # redactions must merge; nothing else in a store ever changes
        return value == "unspecified" or not path.startswith("store/log/")
    if name == "filter" and value == "lfs":  # allowed for weights: a clone must fetch them
        return path.startswith("runs/")
    return value in ("unspecified", "unset")


def _here(layout: Layout) -> Iterator[str]:
    """Paths with names chosen by users, which a rule may match: datasets and eval sets."""
    with contextlib.suppress(DamagedError):
        for entry in entries(layout.datasets, layout.root):
            yield f"store/datasets/{entry.name}/v1/{_HEX}/manifest.json"
    with contextlib.suppress(DamagedError):
        for entry in entries(layout.evalsets, layout.root):
            yield f"evalsets/{entry.name}"


def _link_on_the_way(layout: Layout, path: str) -> str | None:
    """The path itself, or the first directory on the way to it, that is a symbolic link."""
    try:
        refuse_links(layout.root / path, layout.root)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return layout.relative(Path(os.fsdecode(error.filename)))
    return None


def _lines(paths: Iterable[str]) -> bytes:
    return b"".join(path.encode(errors="surrogateescape") + b"\0" for path in paths)


def _fields(said: bytes) -> Iterator[str]:
    return iter(said.decode(errors="surrogateescape").split("\0")[:-1])


def _shown(path: str) -> str:
    shown = path.replace(_HEX, "<64 hex>")
    return shown.encode(errors="surrogateescape").decode(errors="backslashreplace")
