"""Writes datasets for other tools: the same bytes every time, in several formats and containers."""

from tunixrt.datasets.exports.formats import (
    ALL_SPLITS,
    REBUILT_FORMATS,
    ExportError,
    ExportFormat,
    ExportReport,
    parse_export_format,
    parse_split,
    row_settings,
)
from tunixrt.datasets.exports.lines import Export, ExportLines

__all__ = [
    "ALL_SPLITS",
    "REBUILT_FORMATS",
    "Export",
    "ExportError",
    "ExportFormat",
    "ExportLines",
    "ExportReport",
    "parse_export_format",
    "parse_split",
    "row_settings",
]
