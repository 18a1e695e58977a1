"""Selections in SQL: a function of the traces, run on a copy of them and on nothing else."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.datasets.expressions.making import conversation
from tests.making.traces import Place, trace
from tunixrt.datasets import sql
from tunixrt.datasets.building import BuildReport, build_dataset, members
from tunixrt.datasets.expressions.fields import FIELDS
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import RecipeError, make_recipe
from tunixrt.datasets.sql import SqlError, SqlQuery, sql_query
from tunixrt.datasets.verification import rebuild
from tunixrt.derive import Answer
from tunixrt.jobs.redact import redact_traces
from tunixrt.traces.facts import labelled, recorded, retracted
from tunixrt.traces.schema import payload_of, trace_id

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.log.digests import Digest

duckdb = pytest.importorskip("duckdb")


def build(place: Place, query: str, key: str = "d-v1", **recipe: Any) -> BuildReport:
    name, _, version = key.rpartition("-")
    return build_dataset(place.layout, place.log, name, version, make_recipe(sql=query, **recipe))


def ids(report: BuildReport) -> set[Digest]:
    return {member.trace for member in members(report.dataset)}


@pytest.fixture
def filled(place: Place) -> tuple[Place, list[Digest]]:
    recorded_ids = place.record(
        trace("a\0b", meta={"source": "s", "n": 1, "tags": ["x", "y"]}),
        trace("second", meta={"source": "s", "n": 2.5}),
        trace("third", meta={"source": "t"}, final_answer="7"),
        trace("gone"),
    )
    chat = conversation(source="chat")
    place.say(recorded(trace_id(payload_of(chat)), payload_of(chat)))
    place.say(labelled(recorded_ids[0], "quality", "good"), retracted(recorded_ids[3]))
    return place, [*recorded_ids, trace_id(payload_of(chat))]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT id FROM traces", [0, 1, 2, 4]),
        ("select ID from traces where meta->>'source' = 's' -- a comment", [0, 1]),
        ("SELECT id FROM traces WHERE (meta->>'n')::DOUBLE > 1;", [1]),
        ("SELECT id FROM traces WHERE json_contains(meta->'tags', '\"x\"')", [0]),
        ("SELECT t.id FROM traces t JOIN labels l USING (id) WHERE l.value = 'good'", [0]),
        ("SELECT id FROM traces WHERE n_turns = 2 AND n_tool_calls = 1", [4]),
        ("SELECT id FROM traces WHERE prompt LIKE 'a%b' AND prompt_chars = 3", [0]),
        ("SELECT id FROM traces WHERE recorded_at IS NULL AND final_answer = '7'", [2]),
        ("SELECT id FROM traces WHERE n_steps = 2 ORDER BY n_chars DESC, id LIMIT 1", [4]),
        (
            """WITH ranked AS (SELECT id, row_number() OVER (PARTITION BY meta->>'source'
            ORDER BY prompt, id) AS nth FROM traces) SELECT id FROM ranked WHERE nth = 1""",
            [0, 2, 4],
        ),
    ],
)
def test_a_query_selects_the_traces_whose_ids_it_returns(
    filled: tuple[Place, list[Digest]], query: str, expected: list[int]
) -> None:
    place, known = filled
    assert ids(build(place, query)) == {known[n] for n in expected}


def test_the_views_have_the_fields_of_expressions_and_the_metadata(
    filled: tuple[Place, list[Digest]],
) -> None:
    place, _ = filled
    columns = [name for name, info in FIELDS.items() if info.read is not None]
    everything = " AND ".join(f"({name} IS NULL OR {name} IS NOT NULL)" for name in columns)
    assert (
        build(place, f"SELECT id FROM traces WHERE {everything} AND meta <> '[]'").trace_count == 4
    )


def test_a_query_meets_other_conditions_and_the_recipe_records_it(
    filled: tuple[Place, list[Digest]],
) -> None:
    place, known = filled
    report = build(
        place,
        "SELECT id FROM traces WHERE n_steps = 2;",
        where="meta.source exists",
        splits={"test": "0.5"},
        limit=2,
    )
    assert ids(report) == {known[2], known[4]}
    recipe = report.dataset.manifest.recipe
    query = "SELECT id FROM traces WHERE n_steps = 2"
    assert recipe.sql == SqlQuery(query, "duckdb", duckdb.__version__)
    with DatasetReader(place.log) as reader:
        assert rebuild(reader, report.dataset).verdict is Answer.IDENTICAL


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT id FROM traces WHERE random() < 0.5", "The function random() differs from run"),
        ("SELECT id FROM traces WHERE uuid() < id", "The function uuid() differs from run to run."),
        ("SELECT id FROM traces WHERE recorded_at < now()::VARCHAR", "now() differs from run"),
        ("SELECT id FROM traces WHERE recorded_at < today()::VARCHAR", "today() differs from"),
        ("SELECT id FROM traces WHERE recorded_at < current_date::VARCHAR", "current_date differs"),
        ("SELECT id FROM traces WHERE current_setting('threads') = 1", "current_setting() differs"),
        ("SELECT id FROM traces LIMIT 3", "LIMIT or DISTINCT ON keeps is open: end its ORDER BY"),
        ("SELECT id FROM traces ORDER BY n_steps LIMIT 3", "end its ORDER BY with id"),
        ("SELECT DISTINCT ON (prompt) id FROM traces", "end its ORDER BY with id"),
        ("SELECT id FROM (SELECT id FROM traces LIMIT 1)", "end its ORDER BY with id"),
        ("SELECT id FROM traces USING SAMPLE 3", "use --strategy random --limit N --seed N."),
        ("SELECT id FROM traces TABLESAMPLE 10%", "A sample is another one in each run"),
        ("SELECT any_value(id) AS id FROM traces GROUP BY prompt", "any_value() returns depends"),
        (
            "SELECT id FROM traces QUALIFY row_number() OVER (PARTITION BY prompt) = 1",
            "What row_number() returns depends on the order of rows",
        ),
        ("SELECT id FROM traces WHERE n_steps > (SELECT approx_quantile(n_steps, 0.5) FROM traces)",
         "The function approx_quantile() is approximate."),
        ("SELECT id FROM read_csv('/etc/passwd')", "read_csv() reads something else than the"),
        ("SELECT content AS id FROM read_text('/etc/passwd')", "read_text() reads something else"),
        ("SELECT id FROM '/etc/passwd'", 'The table "/etc/passwd" does not exist: the tables'),
        ("SELECT name AS id FROM duckdb_settings()", "duckdb_settings() reads something else"),
        ("SELECT table_name AS id FROM information_schema.tables", 'table "tables" does not'),
        ("SELECT place AS id FROM rows", 'The table "rows" does not exist'),
        ("DROP TABLE traces", "The query should be one SELECT statement"),
        ("COPY traces TO '/tmp/x.csv'", "The query should be one SELECT statement"),
        ("SET threads = 4", "The query should be one SELECT statement"),
        ("SELECT id FROM traces; SELECT id FROM traces", "should be one SELECT statement"),
        ("", "The query should be one SELECT statement"),
        ("SELECT FROM WHERE", "DuckDB cannot read the query: Parser Error"),
    ],
)  # fmt: skip
def test_a_query_whose_result_may_differ_or_that_reads_elsewhere_is_refused(
    query: str, sentence: str
) -> None:
    with pytest.raises(SqlError) as error:
        sql_query(query)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT prompt FROM traces", "should return one column, id, but returns prompt."),
        ("SELECT id, prompt FROM traces", "one column, id, but returns id, prompt."),
        ("SELECT prompt AS id FROM traces", "which is not the id of a trace."),
        ("SELECT NULL AS id FROM traces", "The query returns NULL, which is not the id"),
        ("SELECT id FROM traces WHERE promt = 'a'", "DuckDB cannot run the query: Binder Error"),
    ],
)
def test_a_query_that_does_not_return_ids_is_a_sentence_and_nothing_is_written(
    filled: tuple[Place, list[Digest]], query: str, sentence: str
) -> None:
    place, _ = filled
    before = place.files()
    with pytest.raises(SqlError) as error:
        build(place, query)
    assert sentence in str(error.value)
    assert place.files() == before


def test_a_query_that_selects_nothing_says_so(filled: tuple[Place, list[Digest]]) -> None:
    place, _ = filled
    with pytest.raises(RecipeError, match="The query selects no trace"):
        build(place, "SELECT id FROM traces WHERE n_steps > 100")
    with pytest.raises(RecipeError, match="selects 4 traces, none of which matches the other"):
        build(place, "SELECT id FROM traces", where="n_steps > 100")


def test_a_function_that_the_check_misses_reaches_no_file(
    filled: tuple[Place, list[Digest]], tmp_path: Path
) -> None:
    """The recipe of someone else is not checked; the sandbox is what keeps it from the files."""
    place, _ = filled
    (tmp_path / "secret.csv").write_text("id\n1\n")
    stolen = f"SELECT id FROM read_csv('{tmp_path}/secret.csv')"
    recipe = make_recipe(sql=SqlQuery(stolen, "duckdb", duckdb.__version__))
    with pytest.raises(SqlError, match="file system operations are disabled by configuration"):
        build_dataset(place.layout, place.log, "d", "v1", recipe)


@pytest.mark.parametrize(
    ("query", "forgotten"),
    [
        ("SELECT id FROM traces ORDER BY prompt_chars, id LIMIT 1", 0),
        (
            "SELECT id FROM traces WHERE prompt_chars = 3 OR (SELECT count(*) FROM traces) < 4",
            1,
        ),
    ],
    ids=["a member", "another trace"],
)
def test_a_redaction_does_not_change_what_a_query_over_several_traces_selected(
    filled: tuple[Place, list[Digest]], query: str, forgotten: int
) -> None:
    place, known = filled
    report = build(place, query)
    assert ids(report) == {known[0]}
    redact_traces(place.layout, place.log, [known[forgotten]], reason="asked")
    with DatasetReader(place.log) as reader:
        verdict = rebuild(reader, report.dataset)
    assert verdict.verdict is Answer.IDENTICAL, verdict.first_difference


def test_ctrl_c_during_a_query_stops_the_program_and_is_not_an_error_of_the_query(
    filled: tuple[Place, list[Digest]],
) -> None:
    place, _ = filled
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT id FROM traces WHERE (SELECT max(i) FROM n) > 0"
    )
    asking = threading.get_ident()

    def interrupt() -> None:
        while sys._current_frames()[asking].f_code is not sql._run.__code__:
            pass
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        build(place, endless)
    thread.join()
