"""Expressions: one text per meaning, exact comparisons, faults shown at their place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.datasets.expressions.making import (
    conversation,
    expressions,
    holds,
    subject,
    subjects,
)
from tests.making.traces import trace
from tunixrt.datasets.expressions.evaluation import predicate
from tunixrt.datasets.expressions.fields import FIELDS, Subject
from tunixrt.datasets.expressions.nodes import (
    And,
    Compare,
    Expression,
    Field,
    In,
    Not,
    expression_text,
    fields_of,
)
from tunixrt.datasets.expressions.parsing import parse_expression, parse_field
from tunixrt.datasets.expressions.scanning import ExpressionError
from tunixrt.datasets.expressions.where import FilterError, Where, equal_metadata, parse_where


def canonical(text: str) -> str:
    return expression_text(parse_expression(text))


def match(text: str, of: Subject | None = None, **meta: Any) -> bool:
    of = subject(trace(meta=meta)) if of is None else of
    return predicate(parse_expression(text))(of)


# --- parsing and printing ------------------------------------------------------------------------


def test_the_example_of_the_documentation_is_this_tree() -> None:
    text = (
        'score.baseline >= 60 and meta.source in ("a", "b") and n_steps < 20 '
        'and prompt contains "km"'
    )
    assert parse_expression(text) == And(
        (
            In(Field("meta", ("source",)), ("a", "b")),
            Compare(Field("n_steps"), "<", Decimal(20)),
            Compare(Field("prompt"), "contains", "km"),
            Compare(Field("score", ("baseline",)), ">=", Decimal(60)),
        )
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("meta.a=1", "meta.a = 1"),
        ("meta.a == 1.0", "meta.a = 1"),
        ("meta.a = 0.10", "meta.a = 0.1"),
        ("meta.a = +.5", "meta.a = 0.5"),
        ("meta.a = -0.0", "meta.a = 0"),
        ("meta.a = 1e3", "meta.a = 1000"),
        ("meta.a = 1e300", "meta.a = 1e300"),
        ("meta.a = 'it''s'", None),
        ("meta.a = 'it\\'s'", 'meta.a = "it\'s"'),
        ('meta.a = "\\u00e9\\n"', 'meta.a = "é\\n"'),
        ("not meta.a = 1", "meta.a != 1"),
        ("not not meta.a = 1", "meta.a = 1"),
        ("not (meta.a in (2, 1))", "meta.a not in (1, 2)"),
        ("meta.a in (2, 1, 2.0)", "meta.a in (1, 2)"),
        ('meta.a in ("x")', 'meta.a = "x"'),
        ("not meta.a exists", "meta.a missing"),
        ('not text contains "x"', 'text not contains "x"'),
        ("not n_steps < 3", "not n_steps < 3"),
        ("60 <= score.baseline", "score.baseline >= 60"),
        ("3 != n_steps", "n_steps != 3"),
        ("prompt = meta.a", "meta.a = prompt"),
        ("n_steps > n_turns", "n_steps > n_turns"),
        ("n_turns < n_steps", "n_steps > n_turns"),
        ("n_steps < 3 and (meta.a = 1 and id exists)", "id exists and meta.a = 1 and n_steps < 3"),
        ("meta.a = 1 or meta.b = 2 and meta.c = 3", "meta.a = 1 or meta.b = 2 and meta.c = 3"),
        (
            "(meta.b = 2 or meta.a = 1) and meta.c = 3",
            "(meta.a = 1 or meta.b = 2) and meta.c = 3",
        ),
        ("meta.a = 1 and meta.a=1.0", "meta.a = 1"),
        ("not (meta.b = 1 and meta.a = 1)", "not (meta.a = 1 and meta.b = 1)"),
        ('meta."a" = true', "meta.a = true"),
        ('meta."a b".in.0 = null', 'meta."a b".in.0 = null'),
        ('label."é" = "x"', 'label."é" = "x"'),
        ("meta.a\n=\t1\r\n", "meta.a = 1"),
    ],
)
def test_two_spellings_of_one_meaning_have_one_text(text: str, written: str | None) -> None:
    if written is None:
        with pytest.raises(ExpressionError):
            parse_expression(text)
        return
    assert canonical(text) == written
    assert canonical(written) == written


@given(expression=expressions)
def test_what_is_printed_is_read_back_as_the_same_tree(expression: Expression) -> None:
    assert parse_expression(expression_text(expression)) == expression


@given(expression=expressions)
def test_a_negation_is_undone_by_another(expression: Expression) -> None:
    assert parse_expression(f"not (not ({expression_text(expression)}))") == expression
    assert not isinstance(expression, Not) or not isinstance(expression.operand, Not)


FAULTS: list[tuple[str, str, int]] = [
    ("", "Expected a field such as meta.source, but found the end.", 0),
    (
        "promt = 'a'",
        'field "promt" does not exist. Did you mean "prompt"? A key of the metadata is',
        0,
    ),
    ("n_steps < 3 and qqqq = 1", "written meta.qqqq; the fields are id, trace_version,", 16),
    ("meta.source = gsm8k", 'gsm8k is not a field; text is written in quotes: "gsm8k".', 14),
    ("meta.source in (a, b)", 'Text is written in quotes: "a".', 16),
    ("meta.source in 'a'", "Expected values in parentheses after `in`", 15),
    ("meta.a in ('a'", "Expected ')', but found the end.", 14),
    ("meta.a in ()", "Expected text in quotes or a number, but found ).", 11),
    ("n_steps < '20'", 'is compared with the text "20": write it without quotes.', 10),
    ("n_steps = 'many'", 'n_steps is a number, but is compared with the text "many".', 10),
    ("prompt = 20", "prompt is text, but is compared with 20: write it in quotes.", 9),
    ("prompt in ('a', 2)", "prompt is text, but is compared with 2", 16),
    ("n_steps = true", "n_steps is a number, but is compared with true.", 10),
    ("n_steps contains 'a'", "n_steps is a number; `contains` is for text and lists.", 17),
    ("prompt contains 3", "Expected text after `contains`, but found 3.", 16),
    ("meta.a startswith 3", "Expected text after `startswith`, but found 3.", 18),
    ("meta.a < null", "null has no order: expected a number or text.", 9),
    ("prompt = n_steps", "prompt is text, and n_steps is a number: they never match.", 9),
    ("'km' in prompt", 'the field comes first: prompt contains "km"', 5),
    ("3 and 4", "Expected a comparison after 3, but found and.", 2),
    ("n_steps", "Expected an operator (= != < <= > >=, in, contains,", 7),
    ("n_steps not = 3", "Expected in, contains, startswith or endswith after `not`", 12),
    ("n_steps = ", "Expected a value after =, but found the end.", 10),
    ("n_steps = 3 4", "Expected `and`, `or` or the end, but found 4.", 12),
    ("(n_steps = 3", "Expected ')', but found the end.", 12),
    ("meta = 1", "meta needs a name after it, such as meta.source.", 0),
    ("label = 'a'", "label needs a name after it, such as label.quality.", 0),
    ("score > 1", "score needs a name after it, such as score.baseline.", 0),
    ("prompt.a = 'b'", "The field prompt has no parts, but prompt.a names one.", 0),
    ("score.a.b > 1", 'where it holds a dot, it is quoted: score."a.b".', 0),
    ("meta. = 1", "Expected a key after the dot", 5),
    ("meta.a = 'b", "The text that begins here has no closing quote.", 9),
    ("meta.a = 'b\\x'", 'The escape "\\x" does not exist; a backslash is written twice.', 11),
    ("meta.a = '\\ud800'", "The text holds half of a surrogate pair.", 9),
    ("meta.a = 1e399", "No number of JSON is so large.", 9),
    ("meta.a = 1e99999999", "The number is too long to be one of JSON.", 9),
    ("meta.a = 12x", '"12x" is not a number; text is written in quotes.', 9),
    ("meta.a & 1", '"&" begins nothing that is known.', 7),
    ("id = '5d1f0c'", 'An id begins with "sha256:"', 5),
    ("(" * 101 + "n_steps = 1" + ")" * 101, "nested more than 100 levels deep.", 100),
]


@pytest.mark.parametrize(("text", "sentence", "place"), FAULTS)
def test_a_fault_is_a_sentence_with_a_caret_under_its_place(
    text: str, sentence: str, place: int
) -> None:
    with pytest.raises(ExpressionError) as error:
        parse_expression(text)
    first, shown, caret = str(error.value).split("\n")
    assert sentence in first
    assert error.value.place == place
    assert caret.strip() == "^"
    under = shown[caret.index("^") :]
    assert under == "" or text[place:].startswith(under.removesuffix("..."))


def test_a_caret_is_under_its_place_in_a_long_text_with_control_characters() -> None:
    text = "meta.a = '\x1b[31m" + "x" * 200 + "' and promt = 'y'" + " " * 100
    with pytest.raises(ExpressionError) as error:
        parse_expression(text)
    _, shown, caret = str(error.value).split("\n")
    assert shown[caret.index("^") :].startswith("promt = 'y'")
    assert len(shown) < 150
    with pytest.raises(ExpressionError) as error:
        parse_expression("meta.a = '\x1b[31m' and promt = 'y'")
    assert "\x1b" not in str(error.value)


def test_the_field_of_an_option_is_read_by_the_same_rules() -> None:
    assert parse_field('meta."a b".c') == Field("meta", ("a b", "c"))
    with pytest.raises(ExpressionError, match=r"written meta\.source"):
        parse_field("source")
    with pytest.raises(ExpressionError, match="or the end"):
        parse_field("meta.a = 1")


# --- meaning -------------------------------------------------------------------------------------


@settings(max_examples=400)
@given(expression=expressions, of=subjects)
def test_every_expression_means_what_the_slow_evaluator_says(
    expression: Expression, of: Subject
) -> None:
    assert predicate(expression)(of) is holds(expression, of)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("meta.x = 0.1", 0.1, True),
        ("meta.x = 0.3", 0.1 + 0.2, False),
        ("meta.x > 0.3", 0.1 + 0.2, True),
        ("meta.x = 0.30000000000000004", 0.1 + 0.2, True),
        ("meta.x >= 0.1000000000000000055511151231257827", 0.1, False),
        ("meta.x < 0.1000000000000000055511151231257827", 0.1, True),
        ("meta.x = 9007199254740991", 2**53 - 1, True),
        ("meta.x < 9007199254740991.5", 2**53 - 1, True),
        ("meta.x = 1e22", 1e22, True),
        ("meta.x = 1", True, False),
        ("meta.x = true", True, True),
        ("meta.x = true", 1, False),
        ('meta.x = "1"', 1, False),
        ("meta.x != 1", "1", True),
        ("meta.x < 1", "0", False),
        ("not meta.x < 1", "0", True),
        ("meta.x = null", None, True),
        ("meta.x exists", None, True),
        ('meta.x contains "b"', ["a", "b"], True),
        ("meta.x contains 2", [1, 2], True),
        ("meta.x contains 1", [True], False),
        ('meta.x contains "b"', {"b": 1}, False),
        ('meta.x.1.k = "v"', [0, {"k": "v"}], True),
        ('meta.x >= "2026-01-01"', "2026-11-25", True),
        ("meta.x in (1, 'a', null)", None, True),
        ("meta.x in (1, 'a')", None, False),
    ],
)
def test_values_are_compared_exactly_and_by_type(text: str, value: Any, expected: bool) -> None:
    assert match(text, x=value) is expected


def test_a_value_that_is_missing_matches_no_comparison_and_every_negation() -> None:
    assert not match("meta.x = 1 or meta.x < 1 or meta.x >= 1 or meta.x in (1, null)")
    assert match("meta.x != 1 and meta.x not in (1, 2) and meta.x missing")
    assert not match("meta.x = meta.y")
    assert match("meta.x != meta.y")


def test_every_field_reads_a_trace_and_a_conversation() -> None:
    of = subject(conversation(source="chat"), labels={"q": "good"}, scores={"baseline": 12.5})
    told = (
        'id startswith "sha256:"',
        'trace_version = "1.1"',
        'prompt = "How far is 3 miles?"',
        'final_answer = "About 4.8 km."',
        'reasoning = "one\\ntwo"',
        'text contains "Be brief." and text contains "4.827" and text contains "one"',
        "recorded_at missing",
        "n_steps = 2 and n_turns = 2 and n_messages = 5 and n_tool_calls = 1",
        "prompt_chars = 19 and reasoning_chars = 6 and answer_chars = 13 and n_chars = 53",
        'meta.source = "chat" and label.q = "good" and score.baseline = 12.5',
    )
    for text in told:
        assert match(text, of), text
    flat = subject(trace(), recorded_at="2026-11-25T00:00:00Z")
    for text in (
        'trace_version = "1.0" and recorded_at >= "2026-11"',
        'prompt contains "15 + 27" and final_answer = "42"',
        'reasoning endswith "Add 15 and 27" and text endswith "\\n42"',
        "n_steps = 2 and n_turns = 1 and n_messages = 2 and n_tool_calls = 0",
        "n_chars = 57 and answer_chars = 2",
    ):
        assert match(text, flat), text
    named = {field.name for text in told for field in fields_of(parse_expression(text))}
    assert named == set(FIELDS)


def test_the_page_on_selections_lists_every_field_and_only_these() -> None:
    page = (Path(__file__).parents[3] / "docs" / "selection.md").read_text(encoding="utf-8")
    rows = [f"| `{name}` | {info.kind} | {info.meaning} |" for name, info in FIELDS.items()]
    table = page.partition("| Field | Type | Value |\n|---|---|---|\n")[2].partition("\n\n")[0]
    assert table.splitlines() == rows


# --- what follows --where ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("source=gsm8k", {"source": "gsm8k"}),
        ("source=New York", {"source": "New York"}),
        ("a.b=c=d", {"a.b": "c=d"}),
        ("label.quality=good", {"label.quality": "good"}),
        ("empty=", {"empty": ""}),
    ],
)
def test_key_and_value_without_blanks_are_a_filter_as_before(
    text: str, filters: dict[str, str]
) -> None:
    assert parse_where([text]) == Where(filters)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("n_steps=5", "n_steps = 5"),
        ('meta.source="a"', 'meta.source = "a"'),
        ('label.quality="good"', 'label.quality = "good"'),
        ("score.baseline>=60", "score.baseline >= 60"),
        ('prompt=="x"', 'prompt = "x"'),
    ],
)
def test_a_field_begins_an_expression(text: str, written: str) -> None:
    assert parse_where(text).text == written
    assert parse_where(text).filters == {}


def test_several_texts_hold_together_whatever_their_order() -> None:
    texts = ["source=a", "n_steps < 3", "meta.b = 1 and n_steps < 3", "source=a"]
    found = parse_where(texts)
    assert found.filters == {"source": "a"}
    assert found.text == "meta.b = 1 and n_steps < 3"
    assert parse_where(reversed(texts)) == found
    assert parse_where({"a": "1"}) == Where({"a": "1"})
    assert parse_where(None).is_empty
    with pytest.raises(FilterError, match=r"two values, 'a' and 'b'.*meta\.source in"):
        parse_where(["source=a", "source=b"])


def test_the_index_is_asked_for_equalities_that_every_match_has() -> None:
    asked = parse_where(
        ['source=a', ('meta.b = "x" and meta.n = 2.50 and meta.c.d = 1 and n_steps = 3 '
         "and meta.e = true and (meta.f = 1 or meta.g = 1) and meta.h != 1 and label.i = 'k'")]
    )  # fmt: skip
    assert equal_metadata(asked) == {"source": "a", "b": "x", "n": "2.5", "e": "true"}
