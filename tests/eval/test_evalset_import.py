"""Eval sets made of files that people have: the same each time, and every loss is counted."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.conversations import conversation_value
from tests.making.traces import trace, value, write_lines
from tunixrt import Store
from tunixrt.datasets.names import BadNameError
from tunixrt.errors import BadInputError
from tunixrt.eval.evalset_import import EvalsetExistsError, sample_id
from tunixrt.eval.evalsets import misnamed_evalsets
from tunixrt.traces.importers.lines import OpenText
from tunixrt.traces.importing import RejectedError
from tunixrt.traces.schema import payload_of, trace_id
from tunixrt.traces.trace_rows import trace_row

if TYPE_CHECKING:
    from tunixrt.eval.evalset_import import EvalsetImport
    from tunixrt.traces.importers.records import Rejection

_REPOSITORY = Path(__file__).resolve().parents[2]
_NAMED = os.environ.get("TUNIXRT_GSM8K")
GSM8K = Path(_NAMED) if _NAMED else _REPOSITORY.parent / "shared/data/gsm8k/train.jsonl"


def gsm(question: str, answer: str) -> dict[str, str]:
    return {"question": question, "answer": f"Think.\n#### {answer}"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(tmp_path / "root")


_ASKED = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]


def take(store: Store, path: Path, name: str = "mine", **options: Any) -> EvalsetImport:
    options.setdefault("source_format", "gsm8k")
    return store.evalsets.import_(path, name, **options)


def test_gsm8k_becomes_samples_with_ids_of_their_questions(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "g.jsonl", [gsm("1+1?", "2"), gsm("2+2?", "4")])
    done = take(store, path, category="sums", difficulty="easy")
    found = store.evalsets["mine"]
    assert [
        (s.id, s.prompt, s.expected_answer, s.category, s.difficulty) for s in found.samples
    ] == [
        (sample_id("1+1?"), "1+1?", "2", "sums", "easy"),
        (sample_id("2+2?"), "2+2?", "4", "sums", "easy"),
    ]
    assert (done.digest, done.n_samples, done.created) == (found.digest, 2, True)
    assert list(store.root.rglob("store/.tmp/*")) == []


def test_the_id_of_a_sample_does_not_depend_on_the_other_lines(
    store: Store, tmp_path: Path
) -> None:
    a, b = gsm("1+1?", "2"), gsm("2+2?", "4")
    take(store, write_lines(tmp_path / "one", [a, b]), "one")
    take(store, write_lines(tmp_path / "two", [b, b, a]), "two")
    one, two = (store.evalsets[name].samples for name in ("one", "two"))
    assert sorted(one, key=lambda s: s.id) == sorted(two, key=lambda s: s.id)


def test_a_question_that_stands_twice_is_a_duplicate_and_two_answers_to_it_are_an_error(
    store: Store, tmp_path: Path
) -> None:
    twice = write_lines(
        tmp_path / "g.jsonl", [gsm("1+1?", "2"), gsm("2+2?", "4"), gsm("1+1?", "2")]
    )
    done = take(store, twice)
    assert (done.n_samples, [(d.line, d.reason) for d in done.duplicates]) == (
        2,
        [(3, "has the question and the answer of line 1")],
    )
    other = write_lines(tmp_path / "h.jsonl", [gsm("1+1?", "2"), gsm("1+1?", "3")])
    with pytest.raises(
        RejectedError, match='2: The record has the question of line 1 and expects "3"'
    ):
        take(store, other, "other")
    aside: list[Rejection] = []
    done = take(store, other, "other", on_rejection=aside.append)
    assert (done.n_samples, done.rejected, [r.line for r in aside]) == (1, 1, [2])


def test_importing_again_changes_nothing_and_other_samples_never_overwrite(
    store: Store, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "g.jsonl", [gsm("1+1?", "2")])
    first = take(store, path)
    before = first.path.read_bytes()
    again = take(store, path)
    assert (again.created, again.digest) == (False, first.digest)
    with pytest.raises(EvalsetExistsError, match="The eval set mine exists with other samples"):
        take(store, path, category="sums")
    assert first.path.read_bytes() == before


def test_traces_exports_and_samples_become_eval_sets_too(store: Store, tmp_path: Path) -> None:
    named = value(meta={"category": "sums", "difficulty": "hard"})
    take(store, write_lines(tmp_path / "t", [named]), "t", source_format="tunixrt", category="x")
    (sample,) = store.evalsets["t"].samples
    assert (sample.category, sample.difficulty) == ("sums", "hard")
    whole = trace()
    row = trace_row(whole, trace_id(payload_of(whole)), None)
    take(store, write_lines(tmp_path / "r", [row]), "r", source_format="trace")
    assert store.evalsets["r"].samples[0].id == sample.id
    own = {"id": "q\u2028", "prompt": "?", "expected_answer": "x"}
    take(store, write_lines(tmp_path / "e", [own]), "e", source_format="evalset", category="c")
    (kept,) = store.evalsets["e"].samples
    assert (kept.id, kept.category) == ("q\u2028", "c")
    assert len((store.layout.evalsets / "e.jsonl").read_text("utf-8").splitlines()) == 1


def test_other_columns_and_the_metadata_of_traces_become_metadata_of_samples(
    store: Store, tmp_path: Path
) -> None:
    own = {"id": "q", "prompt": "?", "task": "sort\u2028", "metadata": {"n": 1.5}, "k": [None]}
    done = take(store, write_lines(tmp_path / "e", [own]), "e", source_format="evalset")
    (sample,) = store.evalsets["e"].samples
    assert sample.metadata == {"n": 1.5, "task": "sort\u2028", "k": [None]}
    assert (sample.expected_answer, done.n_without_answer) == (None, 1)
    assert done.path.read_bytes() == sample.line()
    named = value(meta={"category": "sums", "difficulty": 3, "source": "manual"})
    done = take(store, write_lines(tmp_path / "t", [named]), "t", source_format="tunixrt")
    (sample,) = store.evalsets["t"].samples
    assert (sample.category, sample.difficulty) == ("sums", "unspecified")
    assert sample.metadata == {"difficulty": 3, "source": "manual"}
    assert done.n_without_answer == 0
    written = store.evalsets.write("w", [{"prompt": "?", "task": "sort"}])
    assert written.n_without_answer == 1
    assert store.evalsets["w"].samples[0].metadata == {"task": "sort"}


def test_a_sample_without_metadata_has_the_bytes_that_it_always_had(
    store: Store, tmp_path: Path
) -> None:
    done = take(store, write_lines(tmp_path / "g.jsonl", [gsm("1+1?", "2")]))
    assert done.path.read_text("utf-8") == (
        '{"category":"unspecified","difficulty":"unspecified","expected_answer":"2",'
        f'"id":"{sample_id("1+1?")}","prompt":"1+1?"}}\n'
    )


def test_a_conversation_with_one_question_becomes_a_sample_and_its_system_message_is_counted(
    store: Store, tmp_path: Path
) -> None:
    records = [conversation_value(), {"trace_version": "1.1", "messages": _ASKED}]
    done = take(store, write_lines(tmp_path / "c", records), "c", source_format="tunixrt")
    assert done.dropped == {"system message of a conversation": 1}
    assert [(s.prompt, s.expected_answer) for s in store.evalsets["c"].samples] == [
        ("How far is 3 miles in km?", "4.8 km"),
        ("1+1?", "2"),
    ]


def test_standard_input_and_blank_lines(store: Store) -> None:
    data = b"\xef\xbb\xbf\n" + json.dumps(gsm("1+1?", "2")).encode()
    stream = OpenText("stdin", io.BytesIO(data))
    done = store.evalsets.import_(stream, "mine", source_format="gsm8k")
    assert (done.n_samples, done.dropped) == (1, {"blank line between records": 1})


@pytest.mark.parametrize(
    ("records", "options", "sentence"),
    [
        ([gsm("1+1?", "2"), {"question": "?"}], {}, 'line 2: The field "answer" is missing'),
        ([gsm("1+1?", "2")], {"source_format": "gsm"}, 'for eval sets. Did you mean "gsm8k"'),
        ([gsm("1+1?", "2")], {"category": ""}, 'The field "category" should be text of 1 to 64'),
        ([gsm("1+1?", "2")], {"name": "My Set"}, 'How about "my-set"?'),
        (
            [{"id": "a", "prompt": "?", "expected_anser": "x"}],
            {"source_format": "evalset"},
            '"expected_anser" is not part of an eval set. Did you mean "expected_answer"?',
        ),
        (
            [{"id": "a", "prompt": "?", "n": 1, "metadata": {"n": 2}}],
            {"source_format": "evalset"},
            'line 1: "n" is both a column and a key of the metadata. Keep one of them.',
        ),
        (
            [{"id": i, "prompt": "?", "n": i} for i in "ab"],
            {"source_format": "evalset"},
            "has the question of line 1 and other metadata, and neither has an expected answer.",
        ),
        ([value(final_answer=" ")], {"source_format": "tunixrt"}, "not only white space"),
        (
            [{"trace_version": "1.1", "messages": [*_ASKED, *_ASKED]}],
            {"source_format": "tunixrt"},
            "line 1: The record is a conversation with 2 messages of the user; an eval sample has",
        ),
    ],
)
def test_what_is_no_eval_set_gets_a_sentence_and_nothing_is_written(
    store: Store, tmp_path: Path, records: list[Any], options: dict[str, Any], sentence: str
) -> None:
    path = write_lines(tmp_path / "g.jsonl", records)
    with pytest.raises(BadInputError) as error:
        take(store, path, **options)
    assert sentence in str(error.value)
    assert list(store.layout.evalsets.iterdir()) == []


BAD_NAMES = ["My Set.jsonl", "Sums.jsonl", "con.jsonl", "a..b.jsonl", "sums.JSONL"]


def test_misnamed_files_are_reported_by_list_and_verify_and_cannot_be_named(
    store: Store, tmp_path: Path
) -> None:
    take(store, write_lines(tmp_path / "g.jsonl", [gsm("1+1?", "2")]), "good")
    data = (store.layout.evalsets / "good.jsonl").read_bytes()
    assert store.verify().ok
    for name in (*BAD_NAMES, "README.md", ".jsonl", ".hidden.jsonl"):
        (store.layout.evalsets / name).write_bytes(data)
    assert [e.name for e in store.evalsets] == ["good"]
    misnamed = misnamed_evalsets(store.layout.evalsets)
    assert [m.path.name for m in misnamed] == sorted(BAD_NAMES)
    findings = store.verify().findings
    assert [f.path for f in findings] == [f"evalsets/{name}" for name in sorted(BAD_NAMES)]
    with pytest.raises(BadNameError, match='The eval set name "My Set" should be 1 to 64'):
        store.evalsets["My Set"]


@pytest.mark.skipif(not GSM8K.is_file(), reason="GSM8K is not at hand")
def test_all_of_gsm8k_becomes_an_eval_set_with_ids_that_differ(store: Store) -> None:
    done = take(store, GSM8K, "gsm8k")
    assert (done.n_samples + len(done.duplicates), done.rejected) == (7_473, 0)
    assert len({s.id for s in store.evalsets["gsm8k"].samples}) == done.n_samples
