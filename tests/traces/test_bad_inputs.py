"""Every bad record gets its own sentence, and nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.traces.bad_inputs import BAD, COLUMNS
from tunixrt.traces.importers.columns import ColumnMap
from tunixrt.traces.importers.readers import READERS
from tunixrt.traces.importers.records import Rejection
from tunixrt.traces.importers.table import SourceFormat, read_traces
from tunixrt.traces.importing import RejectedError, import_traces

if TYPE_CHECKING:
    from pathlib import Path

    from tests.making.traces import Place


@pytest.mark.parametrize(
    ("source_format", "line", "sentence"),
    [(bad.source_format, bad.line, bad.sentence) for bad in BAD],
    ids=[f"{bad.source_format}: {bad.name}" for bad in BAD],
)
def test_a_bad_record_gets_its_sentence_and_nothing_is_written(
    place: Place, tmp_path: Path, source_format: str, line: str, sentence: str
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(line + "\n")
    columns = ColumnMap.parse(COLUMNS) if source_format == "columns" else None
    (rejection,) = read_traces(path, SourceFormat(source_format), columns=columns)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == sentence
    assert rejection.raw == line.encode()
    before = place.files()
    with pytest.raises(RejectedError) as error:
        import_traces(place.log, [rejection])
    assert f"{path}, line 1: {sentence}" in str(error.value)
    assert place.files() == before


def test_the_table_has_bad_records_of_every_format() -> None:
    assert {bad.source_format for bad in BAD} >= set(READERS) - {"gsm8k"}
    assert len({(bad.source_format, bad.name) for bad in BAD}) == len(BAD) >= 60
