from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from math import isqrt
from pathlib import Path

import pytest

from tunixrt.errors import BadInputError, ExitCode
from tunixrt.eval import judge_answer
from tunixrt.eval.evalsets import (
    UNSPECIFIED,
    EvalSample,
    EvalSetError,
    UnknownEvalSetError,
    find_evalset,
    list_evalsets,
    load_evalset,
)
from tunixrt.log.canonical import encode
from tunixrt.traces.arithmetic import Kind, generate_arithmetic
from tunixrt.traces.importers.file_kinds import UnreadableFileError

COMMITTED = Path(__file__).parents[2] / "evalsets" / "eval_v1.jsonl"
GOOD = (
    '{"id": "a", "prompt": "1 + 1?", "expected_answer": "2", '
    '"category": "sums", "difficulty": "easy"}'
)


def written(path: Path, *lines: str | bytes) -> Path:
    data = [line.encode() if isinstance(line, str) else line for line in lines]
    path.write_bytes(b"".join(line + b"\n" for line in data))
    return path


def test_samples_come_in_the_order_of_the_lines_with_the_digest_of_the_bytes(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "s.jsonl", GOOD, '{"id": "b", "prompt": "?", "expected_answer": "x"}')
    evalset = load_evalset(path)
    assert evalset.name == "s"
    assert evalset.digest == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert evalset.samples == (
        EvalSample("a", "1 + 1?", "2", "sums", "easy"),
        EvalSample("b", "?", "x", UNSPECIFIED, UNSPECIFIED),
    )


def test_metadata_are_kept_and_the_expected_answer_may_be_absent(tmp_path: Path) -> None:
    line = '{"id": "b", "prompt": "?", "metadata": {"seed": 7, "tags": ["a", null]}}'
    (sample,) = load_evalset(written(tmp_path / "s.jsonl", line)).samples
    assert sample.expected_answer is None
    assert sample.metadata == {"seed": 7, "tags": ["a", None]}


def test_a_file_without_a_line_feed_at_its_end_and_with_windows_line_ends_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(GOOD.encode() + b"\r\n" + GOOD.replace('"a"', '"b"').encode())
    assert [sample.id for sample in load_evalset(path).samples] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "sentence", "field"),
    [
        ("", "The line is blank. Remove it: every line must be one sample.", None),
        (GOOD, 'The id "a" is also the id of line 1; every sample needs its own.', "id"),
        (
            '{"id": "b", "prompt": "?", "expected_answer": ""}',
            'The field "expected_answer" should be text of 1 to 50,000 characters, but is empty.',
            "expected_answer",
        ),
        (
            '{"id": "b", "prompt": "?", "expected_answer": "  "}',
            (
                'The field "expected_answer" should be text that is not only white space, but is '
                "blank."
            ),
            "expected_answer",
        ),
        (
            '{"id": "b", "prompt": "?", "expected_answer": null}',
            'The field "expected_answer" should be text of 1 to 50,000 characters, but is null.',
            "expected_answer",
        ),
        (
            '{"id": "b", "prompt": "?", "expected_answer": "x", "metadata": [1]}',
            'The field "metadata" should be an object, or absent, but is a list of 1.',
            "metadata",
        ),
        (
            '{"id": "b", "prompt": "?", "expected_answer": 42}',
            (
                'The field "expected_answer" should be text of 1 to 50,000 characters, but is the '
                "number 42."
            ),
            "expected_answer",
        ),
        (
            '{"id": "b", "promt": "?", "expected_answer": "x"}',
            'The field "promt" is not part of an eval set. Did you mean "prompt"?',
            "promt",
        ),
        (
            '{"id": "b", "prompt": "?", "expected_answer": "x", "category": ""}',
            'The field "category" should be text of 1 to 64 characters, but is empty.',
            "category",
        ),
        (
            "[1]",
            "The record should be an object with id and prompt, but is a list of 1.",
            None,
        ),
    ],
)
def test_a_bad_line_is_named_with_what_to_mend(
    tmp_path: Path, line: str, sentence: str, field: str | None
) -> None:
    path = written(tmp_path / "s.jsonl", GOOD, line)
    with pytest.raises(EvalSetError) as caught:
        load_evalset(path)
    assert str(caught.value) == f"{path}, line 2: {sentence}"
    assert (caught.value.line, caught.value.field, caught.value.path) == (2, field, path)
    assert caught.value.exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    "line",
    [
        b'{"id": "b", "prompt": "\xff", "expected_answer": "x"}',
        '{"id": "b", "prompt": "?", "expected_answer": "x"',
        '{"id": "b", "id": "c", "prompt": "?", "expected_answer": "x"}',
        '{"id": "b", "prompt": "?", "expected_answer": NaN}',
        '{"id": "b", "prompt": "?", "expected_answer": "x"} trailing',
        '{"id": "b", "prompt": "\\ud800", "expected_answer": "x"}',
    ],
)
def test_a_line_that_is_not_strict_json_is_named(tmp_path: Path, line: str | bytes) -> None:
    path = written(tmp_path / "s.jsonl", GOOD, line)
    with pytest.raises(EvalSetError, match="line 2: The line is not one JSON object: ") as caught:
        load_evalset(path)
    assert caught.value.line == 2


def test_an_empty_file_a_missing_file_and_an_array_get_a_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    with pytest.raises(EvalSetError, match="empty; it needs at least one sample"):
        load_evalset(empty)
    with pytest.raises(UnreadableFileError, match="There is no file"):
        load_evalset(tmp_path / "absent.jsonl")
    with pytest.raises(UnreadableFileError, match="is a directory"):
        load_evalset(tmp_path)
    array = written(tmp_path / "array.jsonl", f"[{GOOD},", f"{GOOD}]")
    with pytest.raises(UnreadableFileError, match=r"is a JSON array\. Write one object per line"):
        load_evalset(array)


def test_a_byte_order_mark_is_no_part_of_the_samples_nor_of_the_digest(tmp_path: Path) -> None:
    plain = written(tmp_path / "s.jsonl", GOOD)
    (tmp_path / "marked").mkdir()
    marked = written(tmp_path / "marked" / "s.jsonl", b"\xef\xbb\xbf" + GOOD.encode())
    assert load_evalset(marked) == load_evalset(plain)


def test_an_unknown_name_gets_the_list_of_the_known_ones(tmp_path: Path) -> None:
    written(tmp_path / "sums.jsonl", GOOD)
    written(tmp_path / "words.jsonl", GOOD)
    assert list_evalsets(tmp_path) == ("sums", "words")
    assert find_evalset(tmp_path, "sums") == tmp_path / "sums.jsonl"
    assert find_evalset(tmp_path, "sums.jsonl") == tmp_path / "sums.jsonl"
    with pytest.raises(UnknownEvalSetError) as caught:
        find_evalset(tmp_path, "sum")
    assert str(caught.value) == (
        f'The eval set "sum" does not exist in {tmp_path}. Did you mean "sums"? '
        "The known ones are sums, words."
    )
    assert caught.value.known == ("sums", "words")
    with pytest.raises(UnknownEvalSetError, match=r"\. The known ones are sums, words\.$"):
        find_evalset(tmp_path, "zzz")


def test_without_any_eval_set_the_message_says_where_to_put_one(tmp_path: Path) -> None:
    absent = tmp_path / "evalsets"
    assert list_evalsets(absent) == ()
    with pytest.raises(BadInputError, match=r"None exists yet: put one at .*NAME\.jsonl"):
        find_evalset(absent, "x")


def test_samples_of_the_arithmetic_generator_are_an_eval_set(tmp_path: Path) -> None:
    problems = generate_arithmetic(kinds=[Kind.ADDITION], n_digits=2, n=20, seed=1, held_out=True)
    path = written(tmp_path / "sums.jsonl", *[encode(p.sample()) for p in problems])
    assert len(load_evalset(path).samples) == 20


def test_the_committed_eval_set_has_25_numbered_samples_of_every_category() -> None:
    samples = load_evalset(COMMITTED).samples
    assert [sample.id for sample in samples] == [f"eval-{i:03d}" for i in range(1, 26)]
    assert {sample.category for sample in samples} == {
        "arithmetic",
        "word problems",
        "geometry",
        "conversion",
        "patterns",
        "number theory",
        "probability",
        "knowledge",
    }
    assert {sample.difficulty for sample in samples} == {"easy", "medium", "hard"}
    lines = COMMITTED.read_text(encoding="utf-8").splitlines()
    assert all(
        list(json.loads(line)) == ["id", "prompt", "expected_answer", "category", "difficulty"]
        for line in lines
    )


def test_the_answers_of_the_committed_eval_set_that_can_be_computed_are_right() -> None:
    cents = 3 * 275 + 2 * 140
    computed = {
        "eval-001": 487 + 369,
        "eval-002": 1000 - 648,
        "eval-003": 46 * 27,
        "eval-004": Fraction(3, 4) + Fraction(5, 6),
        "eval-005": -7 - (-3) * 4,
        "eval-006": f"${cents // 100}.{cents % 100:02d}",
        "eval-007": f"{80 * 3 // 2} km",
        "eval-008": 312 // 24,
        "eval-009": f"${60 * 85 // 100}",
        "eval-010": 3 * 8 // 4,
        "eval-011": 9 * 4,
        "eval-012": 180 - 35 - 65,
        "eval-013": isqrt(8**2 + 15**2),
        "eval-014": f"{6**2}pi",
        "eval-015": "2500 m",
        "eval-016": f"{(95 - 32) * 5 // 9} °C",
        "eval-017": f"{Fraction(3, 8) * 100 * 10 / 10}%".replace("75/2", "37.5"),
        "eval-018": f"{5 + 8}, {8 + 13}",
        "eval-019": 24 * 2,
        "eval-020": "2, 3, 7",
        "eval-021": "no" if any(91 % d == 0 for d in range(2, 91)) else "yes",
        "eval-022": f"x = {(8 + 7) // (5 - 2)}",
        "eval-023": Fraction(1, 2) ** 2,
    }
    expected = {s.id: s.expected_answer or "" for s in load_evalset(COMMITTED).samples}
    for name, value in computed.items():
        judgement = judge_answer(expected=expected[name], response=f"Answer: {value}")
        assert judgement.correct, (name, judgement.reason)


def test_no_expected_answer_of_the_committed_eval_set_answers_another_question() -> None:
    samples = load_evalset(COMMITTED).samples
    alike = {
        (a.id, b.id)
        for a in samples
        for b in samples
        if a.id < b.id
        and judge_answer(
            expected=f"{a.expected_answer}", response=f"Answer: {b.expected_answer}"
        ).correct
    }
    assert alike == {("eval-005", "eval-022")}  # 5 and x = 5
