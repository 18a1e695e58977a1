"""Files and streams that people bring: several, from a pipe, with a mark, of another kind."""

from __future__ import annotations

import io
import json
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.files import TRACE, tree
from tunixrt.cli.output import emit_json, stream_json, stream_table, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Outcome

    Cli = Callable[..., Outcome]

MARK = b"\xef\xbb\xbf"


@pytest.fixture
def store(cli: Cli, tmp_path: Path) -> Path:
    assert cli("init").code == 0
    return tmp_path


def record(prompt: str) -> dict[str, Any]:
    return TRACE | {"prompt": prompt}


def write(path: Path, *records: object) -> str:
    path.write_text("".join(json.dumps(item) + "\n" for item in records))
    return path.name


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    return give


def test_several_files_are_one_segment_with_an_account_of_each(cli: Cli, store: Path) -> None:
    a = write(store / "a.jsonl", record("One?"), record("Two?"))
    b = write(store / "b.jsonl", record("Two?"), record("Three?"))
    document = cli("trace", "import", a, b, a, "--from", "tunixrt", "--json").document
    assert (document["recorded"], document["duplicates"], document["rejected"]) == (3, 3, 0)
    assert [(f["file"], f["recorded"], f["duplicates"]) for f in document["files"]] == [
        (a, 2, 0),
        (b, 1, 1),
        (a, 0, 2),
    ]
    assert [f["segment"] for f in document["files"]] == [document["segment"]] * 2 + [None]
    assert len(list(store.glob("store/log/*/*"))) == 1
    said = cli("trace", "import", a, b, "--from", "tunixrt").err
    assert "2 files: 0 traces recorded, 4 duplicates, 0 rejected." in said


@pytest.mark.parametrize("order", [("good", "bad"), ("bad", "good"), ("good", "array")])
def test_a_bad_file_among_several_leaves_nothing_recorded(
    cli: Cli, store: Path, order: tuple[str, str]
) -> None:
    write(store / "good.jsonl", record("One?"))
    write(store / "bad.jsonl", record("Two?"), {"prompt": "?"})
    (store / "array.jsonl").write_text(json.dumps([record("Three?")])[:-1])
    before = tree(store)
    outcome = cli("trace", "import", *(f"{name}.jsonl" for name in order), "--from", "tunixrt")
    assert outcome.code == 2
    assert "bad.jsonl, line 2" in outcome.err or "array.jsonl, record 1" in outcome.err
    assert tree(store) == before


def test_a_file_that_is_absent_leaves_nothing_of_those_before_it(cli: Cli, store: Path) -> None:
    good = write(store / "good.jsonl", record("One?"))
    bad = write(store / "bad.jsonl", {})
    before = tree(store)
    outcome = cli(
        *("trace", "import", bad, good, "absent.jsonl", "--from", "tunixrt"),
        *("--on-error", "quarantine"),
    )
    assert (outcome.code, "There is no file absent.jsonl" in outcome.err) == (2, True)
    assert tree(store) == before


def test_each_of_several_files_has_its_own_rejects(cli: Cli, store: Path) -> None:
    mine = store / "a.jsonl.rejects.jsonl.partial"
    mine.write_text("mine")
    names = [write(store / f"{n}.jsonl", record(n), {"n": n}) for n in "ab"]
    good = write(store / "c.jsonl", record("c"))
    quarantine = ("--on-error", "quarantine", "--json")
    document = cli("trace", "import", *names, good, "--from", "tunixrt", *quarantine).document
    assert (document["recorded"], document["rejected"]) == (3, 2)
    rejects = [f["rejects_file"] for f in document["files"]]
    assert rejects == ["a.jsonl.rejects.jsonl", "b.jsonl.rejects.jsonl", None]
    for n, name in zip("ab", rejects, strict=False):
        (line,) = (store / name).read_text().splitlines()
        assert (json.loads(line)["file"], json.loads(json.loads(line)["raw"])) == (
            f"{n}.jsonl",
            {"n": n},
        )
    assert mine.read_text() == "mine"
    assert [p.name for p in store.iterdir() if p.name.startswith(".a")] == []


def test_a_minus_is_standard_input_once(
    cli: Cli, store: Path, stdin: Callable[[bytes], None]
) -> None:
    file = write(store / "a.jsonl", record("One?"))
    stdin(MARK + json.dumps(record("Two?")).encode() + b"\n{}\n")
    outcome = cli(
        *("trace", "import", file, "-", "--from", "tunixrt", "--on-error", "quarantine", "--json")
    )
    assert [f["file"] for f in outcome.document["files"]] == ["a.jsonl", "stdin"]
    assert outcome.document["files"][1]["rejects_file"] == "stdin.rejects.jsonl"
    assert outcome.document["recorded"] == 2
    stdin(b"{}\n")
    assert "stdin, line 1: The field" in cli("trace", "import", "-", "--from", "tunixrt").err
    stdin(b"\x1f\x8b")
    refused = cli("trace", "import", "-", "--from", "tunixrt")
    assert (refused.code, "The file stdin is cut off" in refused.err) == (2, True)
    twice = cli("trace", "import", "-", "-", "--from", "tunixrt")
    assert (twice.code, "can be given once" in twice.err) == (2, True)


def test_a_byte_order_mark_is_accepted_wherever_a_text_is_read(
    cli: Cli, store: Path, stdin: Callable[[bytes], None]
) -> None:
    (store / "t.jsonl").write_bytes(MARK + json.dumps(TRACE).encode())
    assert cli("trace", "import", "t.jsonl", "--from", "tunixrt").code == 0
    stdin(MARK + json.dumps(TRACE).encode())
    added = cli("trace", "add", "-", "--json").document
    assert added["duplicates"] == 1
    assert cli("dataset", "build", "d", "v1").code == 0
    (store / "c.toml").write_bytes(MARK + b'[model]\nname = "nano"\n')
    outcome = cli("train", "c.toml", "--dataset", "d-v1", "--set", "training.num_step=1")
    assert "training.num_steps" in outcome.err
    (store / "c.toml").write_bytes('[model]\nname = "nano"\n'.encode("utf-16"))
    outcome = cli("train", "c.toml", "--dataset", "d-v1")
    assert (outcome.code, "c.toml, line 1: The file should be TOML" in outcome.err) == (2, True)
    proof = cli("snapshot", "prove", added["id"]).out
    (store / "proof.json").write_bytes(MARK + proof.encode())
    assert cli("snapshot", "check-proof", "proof.json").code == 0
    stdin((store / "proof.json").read_bytes())
    assert cli("snapshot", "check-proof", "-").code == 0


def test_what_trace_exports_is_imported_again_as_the_same_traces(cli: Cli, store: Path) -> None:
    file = write(store / "a.jsonl", *(record(f"{n}?") for n in range(9)))
    assert cli("trace", "import", file, "--from", "tunixrt").code == 0
    assert cli("dataset", "build", "d", "v1", "--split", "test=0.5").code == 0
    export = ("dataset", "export", "d-v1", "--format", "trace", "--split", "all")
    assert cli(*export, "-o", "rows.jsonl").code == 0
    document = cli("trace", "import", "rows.jsonl", "--from", "trace", "--json").document
    assert (document["recorded"], document["duplicates"]) == (0, 9)
    hint = cli("trace", "import", "rows.jsonl", "--from", "tunixrt")
    assert "import it with --from trace" in hint.err


@pytest.mark.parametrize(
    ("args", "condition"),
    [
        (("trace", "import", "f", "--from", "tunixrt", "--strip-calculator"), "--from gsm8k"),
        (("trace", "import", "f", "--from", "predictions", "--strip-calculator"), "--from gsm8k"),
        (("trace", "redact", "--sweep", "--reason", "x"), "an ID to redact"),
        (("trace", "redact", "--sweep", "--recorded-at", "x"), "an ID to redact"),
        (("dataset", "build", "d", "v1", "--seed", "1"), "--strategy random or --split"),
        (("train", "nano", "--dataset", "d-v1", "--dry-run", "--resume"), "not with --dry-run"),
        (("eval", "untrained:nano", "--evalset", "e", "--seed", "1"), "--temperature above 0"),
        (("evalset", "check", "e", "--split", "train"), "--dataset"),
        (("reproduce", "abcdef", "--jobs", "1"), "--all"),
    ],
)
def test_an_option_that_has_no_effect_is_refused(
    cli: Cli, store: Path, args: tuple[str, ...], condition: str
) -> None:
    before = tree(store)
    outcome = cli(*args)
    assert outcome.code == 2
    assert any(f"{arg} has no effect here" in outcome.err for arg in args if arg[:2] == "--")
    assert condition in outcome.err
    assert tree(store) == before


@pytest.mark.parametrize("name", ["My Set.jsonl", "con.jsonl", "sums.txt"])
def test_held_out_problems_are_not_written_where_no_command_finds_them(
    cli: Cli, store: Path, name: str
) -> None:
    outcome = cli(
        *("trace", "generate", "arithmetic", "-n", "3", "--held-out", "-o", f"evalsets/{name}")
    )
    assert (outcome.code, f"evalsets/{name}: The" in outcome.err) == (2, True)
    assert list((store / "evalsets").iterdir()) == []
    (store / "evalsets" / name).write_text("{}")
    listed = cli("evalset", "list", "--json").document
    assert listed["evalsets"] == []
    assert [Path(m["file"]).name for m in listed["misnamed"]] == [name] * (name != "sums.txt")
    assert ("is not listed" in cli("evalset", "list").err) == (name != "sums.txt")


def test_gsm8k_becomes_an_eval_set(cli: Cli, store: Path, stdin: Callable[[bytes], None]) -> None:
    good = {"question": "1+1?", "answer": "Add.\n#### 2"}
    stdin(json.dumps(good).encode() + b"\n{}\n" + json.dumps(good).encode())
    take = ("evalset", "import", "-", "--from", "gsm8k", "--name", "sums", "--category", "s")
    document = cli(*take, "--on-error", "quarantine", "--json").document
    assert (document["n_samples"], document["duplicates"], document["rejected"]) == (1, 1, 1)
    assert (document["dropped"], document["created"]) == (0, True)
    assert document["rejects_file"] == "stdin.rejects.jsonl"
    assert cli("evalset", "check", "sums").out == document["digest"] + "\n"
    stdin(json.dumps(good).encode())
    again = cli(*take)
    assert "sums: 1 sample, 0 duplicates, 0 rejected (it existed already)." in again.err
    stdin(json.dumps(good | {"question": "2+2?"}).encode())
    other = cli(*take)
    assert (other.code, "exists with other samples" in other.err) == (2, True)


def test_the_log_as_json_is_one_document_per_line_for_every_reader(cli: Cli, store: Path) -> None:
    file = write(store / "a.jsonl", record("One?"))
    assert cli("trace", "import", file, "--from", "tunixrt").code == 0
    (one,) = cli("trace", "list", "--json").document["traces"]
    assert cli("trace", "label", one["id"], "note=a\u2028b\x85c").code == 0
    lines = cli("log", "--json").out.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["trace.recorded", "trace.labelled"]
    assert json.loads(lines[1])["content"]["value"] == "a\u2028b\x85c"


class Document(dict[str, Any]):
    """A document whose end can be seen."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def documents(n: int, held: list[int]) -> Iterator[Document]:
    """Documents, one at a time; ``held`` receives how many of them there were at once."""
    alive: weakref.WeakSet[Document] = weakref.WeakSet()
    for number in range(n):
        document = Document(n=number, text="é\n")
        alive.add(document)
        held.append(len(alive))
        yield document
        del document


def test_a_long_list_is_never_all_in_memory(capsys: pytest.CaptureFixture[str]) -> None:
    held: list[int] = []
    stream_json("traces", documents(5_000, held))
    assert max(held) <= 3
    streamed = capsys.readouterr().out
    emit_json({"traces": [{"n": n, "text": "é\n"} for n in range(5_000)]})
    assert capsys.readouterr().out == streamed
    stream_json("traces", [])
    empty = capsys.readouterr().out
    emit_json({"traces": []})
    assert capsys.readouterr().out == empty


def test_a_table_measures_its_first_rows_and_prints_the_others_as_they_come(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[str] = []
    whole = [(f"row {number}", number) for number in range(1_000, 4_000)]

    def rows() -> Iterator[tuple[str, int]]:
        yield from whole[:2_000]
        seen.append(capsys.readouterr().out)
        yield from whole[2_000:]

    stream_table(("name", "number"), rows())
    printed = seen[0] + capsys.readouterr().out
    assert seen[0].count("\n") == 2 + 2_000
    assert printed == table(("name", "number"), whole) + "\n"
    stream_table(("name",), [])
    assert capsys.readouterr().out == "(none)\n"
