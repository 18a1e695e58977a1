"""What shell completion suggests for a dataset, an eval set, a run or a model.

A person waits at each press of Tab: names of directories and small files are read, never the whole
log. So these are suggestions, and the command that is run afterwards decides. Outside of a store,
and where nothing can be read, the list is empty.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunixrt.errors import TunixrtError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import click

    from tunixrt.log.layout import Layout

    Completion = Callable[[click.Context, click.Parameter, str], list[str]]

_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]+")
# A promotion is a segment of its own, so its part is small.
_SMALL_BYTES: Final = 16 * 1024
_MOST_SEGMENTS: Final = 2_000
_SHOWN_DIGITS: Final = 12


def _completion(names: Callable[[Layout], Iterable[str]]) -> Completion:
    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        # Of several runs, "A,B", the last is completed.
        before, comma, begun = incomplete.rpartition(",")
        try:
            found = sorted(set(names(_layout(context))))
        except (OSError, TunixrtError):
            return []
        return [
            f"{before}{comma}{name}"
            for name in found
            if name.startswith(begun) and _NAME.fullmatch(name)
        ]

    return complete


def _layout(context: click.Context) -> Layout:
    from tunixrt.log.layout import find

    given = context.params.get("store_path") or os.environ.get("TUNIXRT_STORE")
    return find(Path(given) if given else Path())


def _datasets(layout: Layout) -> Iterator[str]:
    for name in _inside(layout.datasets):
        yield from (f"{name.name}-{version.name}" for version in _inside(name))


def _evalsets(layout: Layout) -> Iterator[str]:
    yield from (path.stem for path in _inside(layout.evalsets) if path.suffix == ".jsonl")


def _runs(layout: Layout) -> Iterator[str]:
    yield from ("@last", "@last-train", "@last-eval")
    yield from (path.name[:_SHOWN_DIGITS] for path in _inside(layout.runs))
    yield from _promoted(layout)


def _promoted(layout: Layout) -> Iterator[str]:
    """The names in small segments, also those that were moved since."""
    from tunixrt.log.canonical import decode
    from tunixrt.log.stored import is_plain_file, read_stored

    shelves = _inside(layout.log)
    segments = itertools.chain.from_iterable(_inside(shelf) for shelf in shelves)
    for segment in itertools.islice(segments, _MOST_SEGMENTS):
        part = segment / "0000.jsonl"
        if not is_plain_file(part) or part.stat().st_size > _SMALL_BYTES:
            continue
        lines = read_stored(part).split(b"\n")
        for envelope, payload in zip(lines[::2], lines[1::2], strict=False):
            if b'"type":"run.promoted"' in envelope:
                content = decode(payload)
                if isinstance(content, dict):
                    yield str(content.get("name"))


def _inside(directory: Path) -> list[Path]:
    try:
        return [path for path in directory.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []


datasets = _completion(_datasets)
evalsets = _completion(_evalsets)
runs = _completion(_runs)


def source_formats(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """The formats that `trace import` reads."""
    from tunixrt.eval.prediction_traces import PREDICTIONS
    from tunixrt.traces.importers.table import SourceFormat

    return [name for name in (*SourceFormat, PREDICTIONS) if name.startswith(incomplete)]


def configurations(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """The presets, and the TOML files of the directory that was begun."""
    from tunixrt.runs.presets import PRESETS

    begun = Path(incomplete)
    directory = begun if incomplete.endswith("/") else begun.parent
    files = [str(path) for path in _inside(directory) if path.suffix == ".toml"]
    return [name for name in sorted({*PRESETS, *files}) if name.startswith(incomplete)]


def models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Runs, and ``untrained:`` with a preset or a TOML file."""
    kind, colon, config = incomplete.partition(":")
    if colon:
        found = configurations(context, parameter, config)
        return [f"{kind}:{name}" for name in found] if kind == "untrained" else []
    untrained = ["untrained:"] if "untrained:".startswith(incomplete) else []
    return runs(context, parameter, incomplete) + untrained
