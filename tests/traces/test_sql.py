"""The SQL of the tables: what another version of Python or SQLite would warn of or refuse."""

from __future__ import annotations

import ast
import gc
import re
import sqlite3
import threading
import warnings
from pathlib import Path

import tunixrt
from tunixrt.traces.index_tables import SavedIndex
from tunixrt.traces.spill import spill

SOURCES = sorted(Path(tunixrt.__file__).parent.rglob("*.py"))
_SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|VALUES|WHERE|PRAGMA)\b")
# A number or a name for a parameter, as in `?1` and `:id`.
_NOT_IN_ORDER = re.compile(r"\?\d|(?<![:\w])[:@$][A-Za-z_]")


def test_sql_takes_its_parameters_in_order() -> None:
    texts = [
        (path.name, node.value)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _SQL.search(node.value)
        and path.parent.name == "traces"
    ]
    assert len(texts) > 20
    found = [(name, text) for name, text in texts if _NOT_IN_ORDER.search(text)]
    assert found == [], "with a sequence, Python warns of these since 3.12"


def test_a_table_that_is_left_open_is_closed_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    path.write_bytes(b"no index")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        database = spill()
        database.execute("CREATE TABLE t (x)")
        del database
        # One that cannot even be read is closed by nobody else.
        for file in (path, tmp_path / "absent"):
            try:
                SavedIndex(file)
            except (sqlite3.Error, ValueError):
                pass
            else:
                raise AssertionError(f"{file} is an index")
        gc.collect()


def test_a_table_may_be_dropped_in_another_thread() -> None:
    databases = [spill()]
    thread = threading.Thread(target=databases.clear)
    thread.start()
    thread.join()
    assert databases == []
