"""Turns Arrow columns into JSON values: what each type becomes, and what JSON cannot hold.

A column or a field of a struct that is null is absent, since a table has every field in every row;
a null in a list stays null. Dates and times become RFC 3339 texts, decimals the text of their
digits. Bytes and durations are refused, row by row, since they have no form in JSON.
"""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_DAY_S: Final = 86_400
_DAY_MS: Final = 1000 * _DAY_S
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001  (the zone is written by hand)


class Unfit:
    """A value that JSON does not have.

    Attributes:
        path: the column, and the field within it.
        kind: what it holds, in words.
        raw: its bytes, if it is made of bytes.
    """

    def __init__(self, path: str, kind: str, raw: bytes | None = None) -> None:
        self.path, self.kind, self.raw = path, kind, raw

    def sentence(self) -> str:
        """Return why the row is not a record."""
        return (
            f"The column {self.path} holds {self.kind}, which JSON does not have. Leave the column "
            "out, or write it as text."
        )


class Columns:
    """Converts columns, and notes what the encoder of their rows must know.

    Attributes:
        is_plain: whether every text is UTF-8, every number finite, and every value fit for JSON.
        is_large: whether a value that may occur in many rows is longer than ``large``.
    """

    def __init__(self, large: int) -> None:
        self.is_plain = True
        self.is_large = False
        self._large = large

    def rows(self, names: Sequence[str], arrays: Sequence[Any]) -> list[dict[str, Any]]:
        """Return the rows of a batch, as objects without the columns that are null."""
        columns = [self.values(a, name) for name, a in zip(names, arrays, strict=True)]
        return _objects(names, columns)

    def values(self, array: Any, path: str) -> list[Any]:
        """Return the values of a column.

        Args:
            array: the Arrow array.
            path: its name, for messages.
        """
        import pyarrow.types as kinds

        for is_kind, convert in _CONVERSIONS:
            if getattr(kinds, is_kind)(array.type):
                return convert(self, array, path)
        storage = getattr(array, "storage", None)  # that of an extension type
        return self.unfit(array, path) if storage is None else self.values(storage, path)

    def plain(self, array: Any, _path: str) -> list[Any]:
        """Convert null, booleans and integers."""
        return list(array.to_pylist())

    def floats(self, array: Any, path: str) -> list[Any]:
        """Convert floats; a number that is not finite is left to the reader, which refuses it."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_float16(array.type):
            array = array.cast(pa.float32())
        if not pc.all(pc.is_finite(array)).as_py() and array.null_count < len(array):
            self.is_plain = False
        return self.plain(array, path)

    def texts(self, array: Any, _path: str) -> list[Any]:
        """Convert texts; bytes that are not UTF-8 stay as they are, and the reader refuses them."""
        import pyarrow as pa

        try:
            return list(array.to_pylist())
        except UnicodeDecodeError:
            self.is_plain = False
            raw = array.cast(pa.large_binary()).to_pylist()
            return [b if b is None else b.decode("utf-8", "surrogateescape") for b in raw]

    def shared(self, array: Any, path: str) -> list[Any]:
        """Convert a dictionary: each value that occurs once, however often it does."""
        import pyarrow.compute as pc

        used = pc.unique(array.indices).drop_null()
        values = self.values(array.dictionary.take(used), path)
        if any(isinstance(v, str) and len(v) > self._large for v in values):
            self.is_large = True
        value_at = dict(zip(used.to_pylist(), values, strict=True))
        return [value_at.get(i) for i in array.indices.to_pylist()]

    def lists(self, array: Any, path: str) -> list[Any]:
        """Convert lists."""
        import pyarrow.compute as pc

        items = iter(self.values(array.flatten(), f"{path}[]"))
        lengths = pc.list_value_length(array).to_pylist()
        return [None if n is None else list(itertools.islice(items, n)) for n in lengths]

    def structs(self, array: Any, path: str) -> list[Any]:
        """Convert structs to objects without the fields that are null."""
        names = [field.name for field in array.type]
        if len(set(names)) < len(names):
            return self.unfit(array, path)
        columns = [
            self.values(child, f"{path}.{name}")
            for name, child in zip(names, array.flatten(), strict=True)
        ]
        objects: list[Any] = _objects(names, columns) if names else [{} for _ in range(len(array))]
        if array.null_count:
            valid = array.is_valid().to_pylist()
            return [one if is_valid else None for one, is_valid in zip(objects, valid, strict=True)]
        return objects

    def maps(self, array: Any, path: str) -> list[Any]:
        """Convert maps to objects; a key that is not a text, or occurs twice, is unfit."""
        places = array.offsets.to_pylist()
        start, n_pairs = places[0], places[-1] - places[0]
        keys = self.values(array.keys.slice(start, n_pairs), f"{path}[]")
        items = self.values(array.items.slice(start, n_pairs), f"{path}[]")
        pairs = list(zip(keys, items, strict=True))
        valid = array.is_valid().to_pylist()
        return [
            self._object(pairs[a - start : b - start], path) if is_valid else None
            for (a, b), is_valid in zip(itertools.pairwise(places), valid, strict=True)
        ]

    def _object(self, pairs: list[tuple[Any, Any]], path: str) -> Any:
        found = dict(pairs) if all(isinstance(key, str) for key, _ in pairs) else {}
        if len(found) == len(pairs):
            return found
        self.is_plain = False
        return Unfit(path, "a map whose keys are not different texts")

    def decimals(self, array: Any, path: str) -> list[Any]:
        """Convert decimals to the text of their digits."""
        return [None if v is None else format(v, "f") for v in self.plain(array, path)]

    def dates(self, array: Any, path: str) -> list[Any]:
        """Convert dates."""
        return [self._time(days, _DAY_S, path, None) for days in _integers(array, days=True)]

    def times_of_day(self, array: Any, path: str) -> list[Any]:
        """Convert times of day."""
        unit = _PER_SECOND[array.type.unit]
        return [self._time(n, unit, path, "") for n in _integers(array)]

    def timestamps(self, array: Any, path: str) -> list[Any]:
        """Convert times; with a time zone they are in UTC, as they are stored."""
        unit = _PER_SECOND[array.type.unit]
        zone = "T" if array.type.tz is None else "TZ"
        return [self._time(n, unit, path, zone) for n in _integers(array)]

    def _time(self, n: int | None, unit: int, path: str, zone: str | None) -> Any:
        if n is None:
            return None
        seconds, part = (n * unit, 0) if zone is None else divmod(n, unit)
        try:
            when = _EPOCH + dt.timedelta(seconds=seconds)
        except OverflowError:
            self.is_plain = False
            return Unfit(path, "a time before the year 1 or after 9999")
        if zone is None:
            return when.date().isoformat()
        clock = when.time().isoformat() + _fraction(part, unit)
        return clock if not zone else f"{when.date().isoformat()}T{clock}{zone[1:]}"

    def unfit(self, array: Any, path: str) -> list[Any]:
        """Refuse every value that is not null."""
        import pyarrow as pa

        is_bytes = _is_bytes(array.type)
        kind = "bytes" if is_bytes else f"values of the Arrow type {array.type}"
        valid = array.is_valid().to_pylist()
        if any(valid):
            self.is_plain = False
        raw = array.cast(pa.large_binary()).to_pylist() if is_bytes else [None] * len(array)
        return [
            Unfit(path, kind, data) if is_valid else None
            for is_valid, data in zip(valid, raw, strict=True)
        ]


def unfit_values(value: object) -> Iterator[Unfit]:
    """Yield what JSON cannot hold of a value."""
    if isinstance(value, Unfit):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from unfit_values(item)
    elif isinstance(value, list):
        for item in value:
            yield from unfit_values(item)


def length_of(value: object) -> int:
    """Return about how many characters a value has as JSON, without writing it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(length_of, value.values()))
    return sum(map(length_of, value)) if isinstance(value, list) else 1


def _objects(names: Sequence[str], columns: Sequence[list[Any]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*columns, strict=True)
    ]


def _fraction(part: int, unit: int) -> str:
    digits = str(part).zfill(len(str(unit)) - 1).rstrip("0")
    return f".{digits}" if part else ""


def _integers(array: Any, *, days: bool = False) -> list[int | None]:
    """Return the numbers that dates or times are stored as."""
    import pyarrow as pa

    wide = array.type.bit_width > pa.int32().bit_width
    numbers: list[int | None] = array.view(pa.int64() if wide else pa.int32()).to_pylist()
    if days and wide:
        return [None if n is None else n // _DAY_MS for n in numbers]
    return numbers


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as kinds

    return bool(
        kinds.is_binary(kind)
        or kinds.is_large_binary(kind)
        or kinds.is_fixed_size_binary(kind)
        or kinds.is_binary_view(kind)
    )


#: The tests of `pyarrow.types`, in the order in which they are made, and what converts a column.
_CONVERSIONS: Final[tuple[tuple[str, Callable[[Columns, Any, str], list[Any]]], ...]] = (
    ("is_string", Columns.texts),
    ("is_large_string", Columns.texts),
    ("is_string_view", Columns.texts),
    ("is_dictionary", Columns.shared),
    ("is_map", Columns.maps),
    ("is_list", Columns.lists),
    ("is_large_list", Columns.lists),
    ("is_fixed_size_list", Columns.lists),
    ("is_list_view", Columns.lists),
    ("is_large_list_view", Columns.lists),
    ("is_struct", Columns.structs),
    ("is_null", Columns.plain),
    ("is_boolean", Columns.plain),
    ("is_integer", Columns.plain),
    ("is_floating", Columns.floats),
    ("is_decimal", Columns.decimals),
    ("is_date", Columns.dates),
    ("is_time", Columns.times_of_day),
    ("is_timestamp", Columns.timestamps),
)
