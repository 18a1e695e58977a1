"""Making traces, files and stores for the tests of the data layer."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tunixrt.log.digests import Digest
from tunixrt.traces.importers.table import imported
from tunixrt.traces.importing import import_traces

if TYPE_CHECKING:
    from pathlib import Path


import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunixrt.datasets.building import load_dataset
from tunixrt.datasets.exports import ExportFormat, ExportReport, row_settings
from tunixrt.datasets.exports.derivation import ExportDerivation
from tunixrt.log import layout as layouts
from tunixrt.log.eventlog import EventLog
from tunixrt.traces.importers.table import SourceFormat, read_traces
from tunixrt.traces.importing import ImportReport
from tunixrt.traces.schema import AnyTrace, Trace, trace_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tunixrt.log.digests import Digest
    from tunixrt.traces.facts import NewEvent


@dataclass(frozen=True)
class Place:
    """A store, its log, and what the tests do with them."""

    layout: layouts.Layout
    log: EventLog

    @classmethod
    def at(cls, root: Path) -> Place:
        root.mkdir(parents=True)
        layout = layouts.init(root)
        return cls(layout, EventLog(layout))

    def record(self, *traces: AnyTrace, recorded_at: str | None = None) -> list[Digest]:
        """Import traces, and return their ids in the order given."""
        records = [imported(trace) for trace in traces]
        import_traces(self.log, records, recorded_at=recorded_at)
        return [record.id for record in records]

    def say(self, *events: NewEvent) -> Digest:
        """Append events as one segment."""
        segment = self.log.append(events)
        assert segment is not None
        return segment

    def take(self, path: Path, source_format: SourceFormat = SourceFormat.TUNIXRT) -> ImportReport:
        """Import a file."""
        return import_traces(self.log, read_traces(path, source_format))

    def export(
        self, key: str, export_format: ExportFormat = ExportFormat.TRACE, **options: Any
    ) -> tuple[ExportReport, list[dict[str, Any]], bytes]:
        """Export a dataset: the report, the rows with their metadata as objects, the bytes."""
        out = io.BytesIO()
        dataset = load_dataset(self.layout, key)
        derivation = ExportDerivation(self.log, dataset, row_settings(export_format, **options))
        report = derivation.write(["out"], [out])
        data = out.getvalue()
        rows = [json.loads(line) for line in data.splitlines()]
        for row in rows:
            if "metadata" in row:
                row["metadata"] = json.loads(row["metadata"])
        return report, rows, data

    def files(self) -> dict[str, bytes]:
        """Every file of the store by its path, without what Git ignores."""
        return {
            path.relative_to(self.layout.root).as_posix(): path.read_bytes()
            for path in sorted(self.layout.root.rglob("*"))
            if path.is_file() and ".tunixrt" not in path.parts and ".tmp" not in path.parts
        }


def value(**changes: Any) -> dict[str, Any]:
    """The example of a trace as a plain value; a change to ... removes the field."""
    whole = {
        "trace_version": "1.0",
        "prompt": "What is 15 + 27?",
        "final_answer": "42",
        "steps": [
            {"i": 0, "type": "parse", "content": "Parse the addition problem"},
            {"i": 1, "type": "compute", "content": "Add 15 and 27"},
        ],
        "meta": {"source": "manual"},
        **changes,
    }
    return {key: item for key, item in whole.items() if item is not ...}


def trace(prompt: str = "What is 15 + 27?", **changes: Any) -> Trace:
    """A trace that is sound unless the changes say otherwise."""
    return trace_of(value(prompt=prompt, **changes))


def write_lines(path: Path, values: Iterable[Any]) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(item) + "\n" for item in values), encoding="utf-8")
    return path


def merged(place: Place, *others: Place) -> None:
    """What `git merge` does: the segments of all branches are there."""
    for other in others:
        other.layout.log.mkdir(exist_ok=True)
        shutil.copytree(other.layout.log, place.layout.log, dirs_exist_ok=True)


def branch(place: Place, root: Path) -> Place:
    shutil.copytree(place.layout.root, root)
    return Place(type(place.layout)(root), type(place.log)(type(place.layout)(root)))
