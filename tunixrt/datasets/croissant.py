"""Croissant: the description of exported files as JSON-LD that dataset search engines read.

The vocabulary is that of version 1.0:
https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from tunixrt.datasets.exports.columns import Held, Kind, columns_of
from tunixrt.datasets.exports.containers import Container, container_of
from tunixrt.datasets.exports.formats import CHAT_FORMATS, ExportError, row_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunixrt.datasets.cards import Exported, ExportedPart
    from tunixrt.datasets.files import Dataset

_CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_ENCODINGS: Final[Mapping[Container, str]] = {
    Container.JSONL: "application/jsonlines",
    Container.PARQUET: "application/x-parquet",
}
_TYPES: Final[Mapping[Kind, str]] = {
    Kind.TEXT: "sc:Text",
    Kind.TEXTS: "sc:Text",
    Kind.INTEGERS: "sc:Integer",
    Kind.BOOLEANS: "sc:Boolean",
    Kind.JSON: "sc:Text",
    Kind.OBJECTS: "sc:Text",
}
_LISTS: Final = frozenset({Kind.TEXTS, Kind.INTEGERS, Kind.BOOLEANS, Kind.OBJECTS})


def croissant(dataset: Dataset, *, license_id: str | None, exported: Exported) -> dict[str, Any]:
    """Return the description of exported files.

    Raises:
        ExportError: no file is given, or Croissant does not read their container.
    """
    manifest = dataset.manifest
    if not exported.files or exported.format is None:
        raise ExportError(
            "Croissant describes files: name their format and each file with its split, such as "
            "--format tunix_sft --file train=train.parquet."
        )
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": manifest.dataset_key,
        "description": (
            f"{manifest.trace_count:,} reasoning traces, selected by tunixrt; the dataset has the "
            f"digest {manifest.digest}."
        ),
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "identifier": manifest.digest,
        "version": manifest.dataset_version,
        "distribution": [_file(part) for part in exported.files],
        "recordSet": [_records(exported, part) for part in exported.files],
    }
    if license_id:
        document["license"] = license_id
    if manifest.built_at:
        document["dateCreated"] = manifest.built_at
    return document


def _file(part: ExportedPart) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": part.name,
        "name": part.name,
        "contentUrl": part.name,
        "contentSize": f"{part.size_bytes} B",
        "encodingFormat": _encoding(part.name),
        "sha256": part.sha256.removeprefix("sha256:"),
    }


def _encoding(name: str) -> str:
    encoding = _ENCODINGS.get(container_of(PurePath(name)))
    if encoding is None:
        raise ExportError(
            f"Croissant does not read {name}: describe a file that ends in .jsonl or .parquet."
        )
    return encoding


def _records(exported: Exported, part: ExportedPart) -> dict[str, Any]:
    assert exported.format is not None
    rows = row_settings(exported.format, split=part.split)
    columns = columns_of(rows, Held(conversations=False, tools=False))
    is_chat = exported.format in CHAT_FORMATS
    return {
        "@type": "cr:RecordSet",
        "@id": part.split,
        "name": part.split,
        "description": f"The split {part.split}, one record for each trace."
        + (" Messages are objects." if is_chat else ""),
        "key": {"@id": f"{part.split}/id"},
        "field": [_field(part, name, kind) for name, kind in columns.items()],
    }


def _field(part: ExportedPart, name: str, kind: Kind) -> dict[str, Any]:
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{part.split}/{name}",
        "name": f"{part.split}/{name}",
        "dataType": _TYPES[kind],
        "source": {"fileObject": {"@id": part.name}, "extract": {"column": name}},
    }
    if kind in _LISTS:
        field["repeated"] = True
    return field
