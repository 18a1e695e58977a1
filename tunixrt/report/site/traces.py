"""Traces for a site without a server: a search index in parts, and the texts in shards.

A page opened from disk may not fetch files, but it may load scripts. So each file is a script of
one call, ``tunixrt("NAME", [rows])``, and the rows are plain JSON: strings that the page only shows
as text. A search loads the index, with a thousand traces per part; a trace page loads the one shard
named by the first digits of its id. Both are written in one pass over the log, so memory does not
grow with it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec

from tunixrt.eval.judge.not_text import legible
from tunixrt.report.escape import html_text, shortened
from tunixrt.traces.conversation import Conversation
from tunixrt.traces.schema import in_order
from tunixrt.traces.turns import parts_of
from tunixrt.traces.views import flat_view
from tunixrt.visible import one_line, visible

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.traces.schema import AnyTrace

PART_ROWS: Final = 1_000
#: The number of characters of each prompt and answer that are searched; the pages state it.
MAX_INDEXED: Final = 300
_MAX_ANSWER: Final = 80
_FEW: Final = 1_000
_MAX_WAITING: Final = 64 * 1024


def n_shard_digits(n_traces: int) -> int:
    """The number of hex digits that name an id's shard: 16 files for few traces, 256 for many."""
    return 1 if n_traces <= _FEW else 2


class TraceCounts(NamedTuple):
    """The number of traces, and how many of them a site shows."""

    n_recorded: int
    n_active: int
    n_shown: int
    n_redacted: int


class TraceFiles:
    """Writes ``index-N.js`` and ``traces-XX.js`` into a directory, in the order of the log.

    No file stays open: rows wait in memory until their file has 64 KiB of them, so neither file
    descriptors nor memory grow with the number of traces.
    """

    def __init__(self, directory: Path, n_traces: int) -> None:
        self._directory = directory
        self._n_digits = n_shard_digits(n_traces)
        self._waiting: dict[str, list[str]] = {}
        self._n_characters: dict[str, int] = {}
        self._has_rows: set[str] = set()
        self.n_rows = 0

    def __enter__(self) -> Self:
        for number in range(16**self._n_digits):
            self._begin(f"traces-{number:0{self._n_digits}x}")
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._waiting):
            self._end(name)

    def add(self, trace_id: str, state: str, trace: AnyTrace) -> None:
        """Write one trace."""
        name = trace_id.removeprefix("sha256:")
        part = f"index-{self.n_rows // PART_ROWS}"
        if part not in self._waiting:
            self._begin(part)
        self._row(part, index_row(name, state, trace))
        self._row(f"traces-{name[: self._n_digits]}", trace_row(name, state, trace))
        self.n_rows += 1
        if self.n_rows % PART_ROWS == 0:
            self._end(part)

    def _begin(self, name: str) -> None:
        self._waiting[name] = [f'tunixrt("{name}", [\n']
        self._n_characters[name] = 0

    def _end(self, name: str) -> None:
        self._waiting[name].append("\n]);\n")
        self._flush(name)
        del self._waiting[name], self._n_characters[name]
        self._has_rows.discard(name)

    def _row(self, name: str, row: list[object]) -> None:
        text = script_json(row)
        self._waiting[name].append(f",\n{text}" if name in self._has_rows else text)
        self._has_rows.add(name)
        self._n_characters[name] += len(text)
        if self._n_characters[name] >= _MAX_WAITING:
            self._flush(name)

    def _flush(self, name: str) -> None:
        with (self._directory / f"{name}.js").open("a", encoding="utf-8", newline="\n") as file:
            file.writelines(self._waiting[name])
        self._waiting[name].clear()
        self._n_characters[name] = 0


def index_row(name: str, state: str, trace: AnyTrace) -> list[object]:
    """A row of the search index: id, state, prompt, answer, steps, source; of the flat view."""
    flat = flat_view(trace)
    return [
        name[:16],
        state,
        visible(shortened(flat.prompt, MAX_INDEXED)),
        visible(shortened(flat.final_answer, _MAX_ANSWER)),
        len(flat.steps),
        visible(_text(flat.meta.get("source", ""))),
    ]


def trace_row(name: str, state: str, trace: AnyTrace) -> list[object]:
    """A whole trace: id, state, prompt, answer, steps as (type, content), metadata as pairs.

    A conversation has its flat view there, and then its texts as (label, text, message number).
    """
    flat = flat_view(trace)
    row: list[object] = [
        name,
        state,
        visible(legible(flat.prompt)),
        visible(legible(flat.final_answer)),
        [[visible(step.type), visible(legible(step.content))] for step in in_order(flat.steps)],
        [[visible(key), visible(_text(value))] for key, value in sorted(flat.meta.items())],
    ]
    if isinstance(trace, Conversation):
        row.append(
            [[one_line(p.label), visible(legible(p.text)), p.number] for p in parts_of(trace)]
        )
    return row


def script_json(value: object) -> str:
    """JSON that is a valid JavaScript expression in every version of the language and context."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


_NO_SCRIPT: Final = (
    "<noscript><p>Searching needs JavaScript, which is off here. The files of the store contain "
    "the same: <code>tunixrt trace list</code>.</p></noscript>\n"
)


def trace_pages(counts: TraceCounts) -> list[tuple[str, str, str]]:
    """The pages on traces: file name, title, and the HTML that the script fills."""
    return [
        ("traces.html", "Traces", search_body(counts.n_shown, counts.n_redacted)),
        ("trace.html", "Trace", trace_body(counts.n_recorded)),
        ("diff.html", "Compare traces", diff_body(counts.n_recorded)),
    ]


def search_body(n_shown: int, n_redacted: int) -> str:
    """The page that searches; ``data-parts`` is the number of parts of the index."""
    parts = -(-n_shown // PART_ROWS)
    redacted = f" {n_redacted:,} redacted ones are not included." if n_redacted else ""
    return (
        f"<p>{n_shown:,} traces.{redacted} A search finds traces that contain every word you "
        f"type, in the first {MAX_INDEXED:,} characters of the prompt, in the answer, in the "
        "source or at the beginning of the id.</p>\n"
        f"{search_form('', autofocus=True)}{_NO_SCRIPT}"
        f'<p id="count" role="status" data-parts="{parts}" data-total="{n_shown}"></p>\n'
        '<ol class="results" id="results"></ol>\n'
        '<p><button type="button" class="plain" id="more" hidden>Show more</button></p>\n'
    )


def search_form(root: str, *, autofocus: bool = False) -> str:
    """The search form, for the search page and for pages that link to it."""
    focus = " autofocus" if autofocus else ""
    return (
        f'<form class="search" role="search" method="get" action="{root}traces.html">\n'
        f'<label>Search traces <input type="search" name="q" id="q" autocomplete="off"{focus}>'
        '</label>\n<label class="narrow">State <select name="state" id="state">'
        '<option value="">any</option><option>active</option><option>superseded</option>'
        "<option>retracted</option></select></label>\n"
        "<button>Search</button>\n</form>\n"
    )


def trace_body(n_traces: int) -> str:
    """The page that shows one trace, ``trace.html?id=ID``."""
    return (
        f'{_NO_SCRIPT}<div id="trace" data-digits="{n_shard_digits(n_traces)}">'
        '<p role="status">Loading the trace.</p></div>\n'
        "<h2>Compare with another trace</h2>\n"
        '<form class="search" method="get" action="diff.html">\n<input type="hidden" name="a" '
        'id="a">\n<label>Id of the other trace, or its beginning <input name="b" id="b" required '
        'pattern="(sha256:)?[0-9a-f]{6,64}" autocomplete="off"></label>\n'
        "<button>Compare</button>\n</form>\n"
    )


def diff_body(n_traces: int) -> str:
    """The page that compares two traces, ``diff.html?a=ID&b=ID``."""
    fields = "".join(
        f'<label>{html_text(label)} <input name="{name}" id="{name}" required '
        'pattern="(sha256:)?[0-9a-f]{6,64}" autocomplete="off"></label>\n'
        for name, label in (("a", "Trace A"), ("b", "Trace B"))
    )
    return (
        "<p>Two traces side by side. A step is the same if its text is.</p>\n"
        f'<form class="search" method="get" action="diff.html">\n{fields}'
        f"<button>Compare</button>\n</form>\n{_NO_SCRIPT}"
        f'<div id="diff" data-digits="{n_shard_digits(n_traces)}"></div>\n'
    )
