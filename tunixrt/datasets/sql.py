"""Selections in SQL: a query over read-only views of the traces, run by DuckDB (extra ``sql``).

The recipe records the query and the version of DuckDB, and rebuilding runs the query again. So a
query must be a function of the traces: one whose result may differ from run to run is refused
before it runs. It reaches no file and no network, and the tables are on disk.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.datasets.expressions.fields import FIELDS, MISSING, Kind, Subject
from tunixrt.errors import BadInputError
from tunixrt.extras import SQL, require
from tunixrt.traces.payloads import read_in_order
from tunixrt.traces.schema import parse_payload
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.state import Projection

ENGINE: Final = "duckdb"

_MEMORY: Final = "128MB"
_MAX_OBJECT_BYTES: Final = 16 * 1024 * 1024
_FETCHED: Final = 10_000
_TABLES: Final = ("traces", "labels", "scores")
_TABLE_FUNCTIONS: Final = frozenset(
    {"generate_series", "json_each", "json_tree", "range", "unnest"}
)
#: What reads the clock, the session or the settings; DuckDB itself lists what is random.
_AMBIENT: Final = frozenset({
    "age", "current_connection_id", "current_database", "current_date", "current_localtime",
    "current_localtimestamp", "current_query", "current_query_id", "current_schema",
    "current_schemas", "current_setting", "current_transaction_id", "current_user",
    "get_current_time", "get_current_timestamp", "getenv", "getvariable", "in_search_path", "now",
    "today", "transaction_timestamp", "txid_current", "version",
})  # fmt: skip
#: The same, written without parentheses.
_AMBIENT_WORDS: Final = frozenset({
    "current_catalog", "current_date", "current_role", "current_schema", "current_time",
    "current_timestamp", "current_user", "localtime", "localtimestamp", "session_user", "user",
})  # fmt: skip
#: What depends on the order of rows, unless one is given.
_ORDERED: Final = frozenset({
    "any_value", "arbitrary", "arg_max", "arg_max_null", "arg_min", "arg_min_null", "argmax",
    "argmin", "array_agg", "first", "first_value", "group_concat", "lag", "last", "last_value",
    "lead", "list", "listagg", "max_by", "min_by", "mode", "nth_value", "ntile", "row_number",
    "string_agg",
})  # fmt: skip
_APPROXIMATE: Final = ("approx_", "reservoir_")


class SqlError(BadInputError):
    """A query that cannot select traces."""


class SqlQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query, and what ran it."""

    query: str
    engine: str
    version: str


def sql_query(text: str) -> SqlQuery:
    """Return a query that may be run, with the version of DuckDB.

    Raises:
        SqlError: It is not one SELECT statement, or its result may differ from run to run.
        MissingExtraError: DuckDB is not installed.
    """
    require(SQL, "A selection in SQL")
    import duckdb

    query = text.strip().removesuffix(";").rstrip()
    with duckdb.connect() as connection:
        try:
            statements = connection.extract_statements(query)
        except duckdb.Error as error:
            raise SqlError(f"DuckDB cannot read the query: {error}") from None
        if len(statements) != 1 or statements[0].type is not duckdb.StatementType.SELECT:
            raise SqlError(
                "The query should be one SELECT statement, such as SELECT id FROM traces."
            )
        volatile = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'"
        ).fetchall()
        (tree,) = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone() or ("",)
    parsed = json.loads(tree)
    if parsed.get("error"):
        raise SqlError(f"DuckDB cannot read the query: {parsed.get('error_message')}")
    for fault in _faults(parsed, {name for (name,) in volatile}):
        raise SqlError(f"{fault} The recipe must select the same traces whenever it is run again.")
    return SqlQuery(query, ENGINE, duckdb.__version__)


def selected_places(query: SqlQuery, log: EventLog, projection: Projection) -> bytearray:
    """Return, for each place in the log, 1 if the query selects the trace that is recorded there.

    Args:
        query: Over the active traces.
        log: Where the payloads are.
        projection: The state of every trace.

    Raises:
        SqlError: The query fails, or returns something else than ids of traces.
        MissingExtraError: DuckDB is not installed.
    """
    require(SQL, "A selection in SQL")
    import duckdb

    with tempfile.TemporaryDirectory(prefix="tunixrt-sql-") as directory:
        connection = _open(Path(directory))
        try:
            _load(connection, Path(directory), log, projection)
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            return _run(connection, query.query)
        except duckdb.Error as error:
            raise SqlError(f"DuckDB cannot run the query: {error}") from None
        except RuntimeError as error:
            # DuckDB reports Ctrl-C during a query as this error.
            if "interrupted" not in str(error):
                raise
            raise KeyboardInterrupt from None
        finally:
            connection.close()


# --- what is refused -----------------------------------------------------------------------------


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a parsed query."""
    if isinstance(tree, dict):
        yield tree
    for item in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(item, dict | list):
            yield from _nodes(item)


def _faults(tree: Any, volatile: set[str]) -> Iterator[str]:
    """Yield why the result of a query may differ from run to run."""
    tables = set(_TABLES)
    for node in _nodes(tree):
        tables |= {entry["key"].lower() for entry in (node.get("cte_map") or {}).get("map", [])}
    for node in _nodes(tree):
        yield from _fault_of_function(node, volatile)
        yield from _fault_of_source(node, tables)
        modifiers = node.get("modifiers") or []
        if any(map(_picks_rows, modifiers)) and not any(
            _ends_with_id(modifier.get("orders")) for modifier in modifiers
        ):
            yield "Which rows a LIMIT or DISTINCT ON keeps is open: end its ORDER BY with id."


def _fault_of_source(node: dict[str, Any], tables: set[str]) -> Iterator[str]:
    if node.get("sample"):
        yield "A sample is another one in each run: use --strategy random --limit N --seed N."
    if node.get("type") == "BASE_TABLE" and node["table_name"].lower() not in tables:
        name = quoted(node["table_name"])
        yield f"The table {name} does not exist: the tables are {', '.join(_TABLES)}."
    if node.get("type") == "TABLE_FUNCTION":
        name = node["function"]["function_name"].lower()
        if name not in _TABLE_FUNCTIONS:
            yield f"The function {name}() reads something else than the traces."
    if node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1:
        (name,) = node["column_names"]
        if name.lower() in _AMBIENT_WORDS:
            yield f"{name} differs from run to run."


def _fault_of_function(node: dict[str, Any], volatile: set[str]) -> Iterator[str]:
    name = str(node.get("function_name", "")).lower()
    if name in volatile or name in _AMBIENT:
        yield f"The function {name}() differs from run to run."
    if name.startswith(_APPROXIMATE):
        yield f"The function {name}() is approximate."
    if name in _ORDERED:
        orders = node.get("orders") or (node.get("order_bys") or {}).get("orders")
        orders = orders or node.get("arg_orders")
        if not _ends_with_id(orders):
            yield f"What {name}() returns depends on the order of rows: end its ORDER BY with id."


def _picks_rows(modifier: dict[str, Any]) -> bool:
    return "LIMIT" in modifier["type"] or bool(modifier.get("distinct_on_targets"))


def _ends_with_id(orders: list[dict[str, Any]] | None) -> bool:
    names = orders[-1]["expression"].get("column_names") if orders else None
    return names is not None and names[-1].lower() == "id"


# --- what is run ---------------------------------------------------------------------------------


def _open(directory: Path) -> duckdb.DuckDBPyConnection:
    """Return a database on disk, with one thread, so that sums are added in one order."""
    import duckdb

    return duckdb.connect(
        directory / "traces.duckdb",
        config={
            "memory_limit": _MEMORY,
            "threads": "1",
            "temp_directory": str(directory / "spilled"),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )


def _columns() -> dict[str, str]:
    kinds = {Kind.TEXT: "VARCHAR", Kind.NUMBER: "BIGINT"}
    readable = {name: kinds[info.kind] for name, info in FIELDS.items() if info.read is not None}
    return {"place": "BIGINT"} | readable | {"meta": "JSON"}


def _load(
    connection: duckdb.DuckDBPyConnection, directory: Path, log: EventLog, projection: Projection
) -> None:
    """Fill the tables, by way of files of lines: row by row would take many times as long."""
    shapes = {
        "rows": _columns(),
        "labels": {"id": "VARCHAR", "name": "VARCHAR", "value": "VARCHAR"},
        "scores": {"id": "VARCHAR", "name": "VARCHAR", "score": "DOUBLE"},
    }
    files = {name: (directory / f"{name}.jsonl").open("wb") for name in shapes}
    longest, encode = 0, msgspec.json.Encoder().encode
    readers = {name: info.read for name, info in FIELDS.items() if info.read is not None}
    try:
        for state, payload in read_in_order(log, projection.active()):
            subject = Subject(state, parse_payload(payload))
            row: dict[str, Any] = {"place": state.place, "meta": subject.trace.meta}
            for name, read in readers.items():
                value = read(subject)
                row[name] = None if value is MISSING else value
            line = encode(row)
            longest = max(longest, len(line))
            files["rows"].write(line + b"\n")
            for name, value in state.labels.items():
                files["labels"].write(
                    encode({"id": state.id, "name": name, "value": value}) + b"\n"
                )
            for name, score in state.scores.items():
                files["scores"].write(
                    encode({"id": state.id, "name": name, "score": score}) + b"\n"
                )
    finally:
        for file in files.values():
            file.close()
    for table, columns in shapes.items():
        listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        connection.execute(f"CREATE TABLE {table} ({listed})")
        path = directory / f"{table}.jsonl"
        if path.stat().st_size:
            connection.execute(
                f"INSERT INTO {table} SELECT {', '.join(columns)} FROM read_json(?,"  # noqa: S608
                f" format = 'newline_delimited', columns = {columns}, maximum_object_size = ?)",
                [str(path), max(_MAX_OBJECT_BYTES, longest + 1)],
            )
        path.unlink()
    connection.execute("CREATE VIEW traces AS SELECT * EXCLUDE (place) FROM rows")


def _run(connection: duckdb.DuckDBPyConnection, query: str) -> bytearray:
    # On lines of its own: the query may end in a comment.
    shown = connection.execute(f"SELECT * FROM (\n{query}\n) LIMIT 0").description or []  # noqa: S608
    names = [str(column[0]) for column in shown]
    if [name.lower() for name in names] != ["id"]:
        raise SqlError(f"The query should return one column, id, but returns {', '.join(names)}.")
    connection.execute(f"CREATE TEMP TABLE chosen AS SELECT DISTINCT id FROM (\n{query}\n)")  # noqa: S608
    strange = connection.execute(
        "SELECT id FROM chosen ANTI JOIN rows USING (id) LIMIT 1"
    ).fetchone()
    if strange is not None:
        found_value = "NULL" if strange[0] is None else quoted(str(strange[0]))
        raise SqlError(f"The query returns {found_value}, which is not the id of a trace.")
    places = bytearray()
    found = connection.execute("SELECT place FROM rows SEMI JOIN chosen USING (id) ORDER BY place")
    while rows := found.fetchmany(_FETCHED):
        places.extend(bytes(rows[-1][0] + 1 - len(places)))
        for (place,) in rows:
            places[place] = 1
    return places
