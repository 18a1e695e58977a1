"""The columns of each format, and batches of lines as Arrow: the only module that imports pyarrow.

A free-form value is of the JSON type of Arrow and Parquet, which Hugging Face `datasets` decodes to
an object, and other readers take for text. So the type of no column depends on what traces hold.
"""

from __future__ import annotations

from enum import Enum, auto
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tunixrt.datasets.exports.formats import ExportFormat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunixrt.datasets.exports.formats import RowSettings


class Kind(Enum):
    """The type of a column."""

    TEXT = auto()
    TEXTS = auto()
    INTEGERS = auto()
    BOOLEANS = auto()
    #: JSON text, in a line as well.
    JSON = auto()
    #: A list of objects in a line; each is JSON text in a column.
    OBJECTS = auto()


_FORMATS: Final[Mapping[ExportFormat, Mapping[str, Kind]]] = {
    ExportFormat.TRACE: {
        "id": Kind.TEXT,
        "prompts": Kind.TEXT,
        "trace_steps": Kind.TEXTS,
        "trace_step_types": Kind.TEXTS,
        "trace_step_indices": Kind.INTEGERS,
        "final_answer": Kind.TEXT,
        "messages": Kind.OBJECTS,
        "tools": Kind.OBJECTS,
        "metadata": Kind.JSON,
    },
    ExportFormat.TUNIX_SFT: {
        "id": Kind.TEXT,
        "prompts": Kind.TEXT,
        "final_answer": Kind.TEXT,
        "metadata": Kind.JSON,
    },
    ExportFormat.TRAINING_EXAMPLE: {
        "id": Kind.TEXT,
        "prompt": Kind.TEXT,
        "response": Kind.TEXT,
        "metadata": Kind.JSON,
    },
    ExportFormat.MESSAGES: {"id": Kind.TEXT, "messages": Kind.OBJECTS, "tools": Kind.JSON},
    ExportFormat.PROMPT_COMPLETION: {
        "id": Kind.TEXT,
        "prompt": Kind.OBJECTS,
        "completion": Kind.OBJECTS,
        "tools": Kind.JSON,
    },
    ExportFormat.TEXT: {"id": Kind.TEXT, "text": Kind.TEXT},
    ExportFormat.STEPWISE: {
        "id": Kind.TEXT,
        "prompt": Kind.TEXT,
        "completions": Kind.TEXTS,
        "labels": Kind.BOOLEANS,
    },
}
# The keys of the dictionaries are in the order of canonical JSON already.
_encode = msgspec.json.Encoder().encode
_IN_LINES: Final[Mapping[Kind, Any]] = {
    Kind.TEXT: str,
    Kind.TEXTS: list[str],
    Kind.INTEGERS: list[int],
    Kind.BOOLEANS: list[bool],
    Kind.JSON: str,
    Kind.OBJECTS: list[msgspec.Raw],
}


class Held(NamedTuple):
    """What the members of an export are, as far as it decides the columns.

    Attributes:
        conversations: whether one may be a conversation.
        tools: whether one may offer tools.
    """

    conversations: bool
    tools: bool


def columns_of(settings: RowSettings, held: Held) -> dict[str, Kind]:
    """Return the columns of an export, in order; a row may lack some, which are null then."""
    columns = dict(_FORMATS[settings.format])
    if not held.tools:
        columns.pop("tools", None)
    if settings.format is ExportFormat.TRACE and not held.conversations:
        del columns["messages"]
    if settings.split is None:
        columns["split"] = Kind.TEXT
    return columns


class Columns:
    """Lines of one export as columns."""

    def __init__(self, columns: Mapping[str, Kind]) -> None:
        self._columns = columns
        fields = [(name, _IN_LINES[kind] | None, None) for name, kind in columns.items()]
        row = msgspec.defstruct("Row", fields, gc=False)
        self._decode = msgspec.json.Decoder(row).decode

    def schema(self) -> Any:
        """Return the `pyarrow.Schema`."""
        return self._schema

    @cached_property
    def _schema(self) -> Any:
        import pyarrow as pa

        return pa.schema([(name, _arrow_type(kind)) for name, kind in self._columns.items()])

    def cells(self, batch: Sequence[bytes | msgspec.Struct]) -> dict[str, list[Any]]:
        """Return the cells of some rows by column: texts, and lists of texts or numbers."""
        rows = [self._decode(row) if isinstance(row, bytes) else row for row in batch]
        return {
            name: [
                _texts(getattr(row, name)) if kind is Kind.OBJECTS else getattr(row, name)
                for row in rows
            ]
            for name, kind in self._columns.items()
        }

    def record_batch(self, batch: Sequence[bytes | msgspec.Struct]) -> Any:
        """Return some rows as a `pyarrow.RecordBatch`."""
        import pyarrow as pa

        cells = self.cells(batch)
        arrays = [_array(cells[name], kind) for name, kind in self._columns.items()]
        return pa.record_batch(arrays, schema=self._schema)

    def serialised(self, batch: Sequence[bytes | msgspec.Struct]) -> bytes:
        """Return `record_batch` as bytes, without its schema."""
        data: bytes = self.record_batch(batch).serialize().to_pybytes()
        return data

    def deserialised(self, data: bytes) -> Any:
        """Return the `pyarrow.RecordBatch` of `serialised`."""
        import pyarrow as pa

        return pa.ipc.read_record_batch(pa.py_buffer(data), self._schema)

    def features(self) -> dict[str, Any]:
        """Return the features as Hugging Face `datasets` writes them into ``dataset_info.json``."""
        return {name: _feature(kind) for name, kind in self._columns.items()}


def _texts(objects: list[Any] | None) -> list[str] | None:
    """Return the JSON text of objects, which a line has as bytes, and a struct as dictionaries."""
    if objects is None:
        return None
    return [
        (bytes(item) if isinstance(item, msgspec.Raw) else _encode(item)).decode()
        for item in objects
    ]


def _arrow_type(kind: Kind) -> Any:
    import pyarrow as pa

    return {
        Kind.TEXT: pa.string(),
        Kind.TEXTS: pa.list_(pa.string()),
        Kind.INTEGERS: pa.list_(pa.int64()),
        Kind.BOOLEANS: pa.list_(pa.bool_()),
        Kind.JSON: pa.json_(),
        Kind.OBJECTS: pa.list_(pa.json_()),
    }[kind]


def _array(cells: list[Any], kind: Kind) -> Any:
    import pyarrow as pa

    if kind is Kind.JSON:
        return pa.ExtensionArray.from_storage(pa.json_(), pa.array(cells, pa.string()))
    if kind is Kind.OBJECTS:
        lists = pa.array(cells, pa.list_(pa.string()))
        values = pa.ExtensionArray.from_storage(pa.json_(), lists.values)
        nulls = lists.is_null() if lists.null_count else None
        return pa.ListArray.from_arrays(lists.offsets, values, mask=nulls)
    return pa.array(cells, _arrow_type(kind))


def _feature(kind: Kind) -> dict[str, Any]:
    def value(dtype: str) -> dict[str, Any]:
        return {"dtype": dtype, "_type": "Value"}

    json: dict[str, Any] = {"_type": "Json"}
    return {
        Kind.TEXT: value("string"),
        Kind.TEXTS: {"feature": value("string"), "_type": "List"},
        Kind.INTEGERS: {"feature": value("int64"), "_type": "List"},
        Kind.BOOLEANS: {"feature": value("bool"), "_type": "List"},
        Kind.JSON: json,
        Kind.OBJECTS: {"feature": json, "_type": "List"},
    }[kind]
