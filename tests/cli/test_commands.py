"""What the commands say and do when all is well."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.making.files import TRACE, tree
from tunixrt import Store
from tunixrt.errors import ExitCode
from tunixrt.log.digests import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome


@pytest.fixture
def store(cli: Callable[..., Outcome], tmp_path: Path) -> Path:
    assert cli("init").code == 0
    (tmp_path / "good.jsonl").write_text(json.dumps(TRACE) + "\n")
    assert cli("trace", "generate", "arithmetic", "-n", "40").code == 0
    return tmp_path


def test_init_twice_changes_nothing(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    assert cli("init", "demo").code == 0
    first = tree(tmp_path)
    assert cli("init", "demo", "--json").document["root"].endswith("demo")
    assert tree(tmp_path) == first
    assert b"/store/** -text" in first["demo/.gitattributes"]
    assert b".tunixrt/" in first["demo/.gitignore"]


def test_importing_twice_records_once(cli: Callable[..., Outcome], store: Path) -> None:
    first = cli("trace", "import", "good.jsonl", "--from", "tunixrt", "--json").document
    assert (first["recorded"], first["duplicates"], first["rejected"]) == (1, 0, 0)
    before = tree(store)
    second = cli("trace", "import", "good.jsonl", "--from", "tunixrt", "--json").document
    assert (second["recorded"], second["duplicates"]) == (0, 1)
    assert second["files"][0]["segment"] is None
    assert tree(store) == before
    text = cli("trace", "import", "good.jsonl", "--from", "tunixrt")
    assert "0 traces recorded, 1 duplicate, 0 rejected" in text.err
    assert text.out == ""


def test_dropped_lines_are_counted_and_named(cli: Callable[..., Outcome], store: Path) -> None:
    (store / "gaps.jsonl").write_text("\n" + json.dumps(TRACE) + "\n\n")
    outcome = cli("trace", "import", "gaps.jsonl", "--from", "tunixrt")
    assert "dropped: 2 x blank line between records (line 1, 3)" in outcome.err


def test_a_time_is_recorded_only_where_one_is_given(
    cli: Callable[..., Outcome], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        cli("trace", "list", "--limit", "1", "--json").document["traces"][0]["recorded_at"] is None
    )
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert cli("trace", "import", "good.jsonl", "--from", "tunixrt").code == 0
    traces = cli("trace", "list", "--json").document["traces"]
    assert traces[-1]["recorded_at"] == "2023-11-14T22:13:20Z"


def test_generated_traces_are_the_same_everywhere(cli: Callable[..., Outcome], store: Path) -> None:
    again = cli("trace", "generate", "arithmetic", "-n", "40", "--json").document
    assert (again["recorded"], again["duplicates"]) == (0, 40)
    more = cli("trace", "generate", "arithmetic", "-n", "41")
    assert "1 trace recorded, 40 duplicates" in more.err


def test_an_eval_set_is_generated_and_the_older_spelling_makes_the_same(
    cli: Callable[..., Outcome], store: Path
) -> None:
    generate = ("evalset", "generate", "arithmetic", "--count", "20", "--digits", "2")
    made = cli(*generate, "--name", "sums", "--json").document
    data = (store / "evalsets/sums.jsonl").read_bytes()
    assert made["file"] == str(store / "evalsets/sums.jsonl")
    assert (made["n_samples"], made["digest"]) == (20, digest_bytes(data))
    assert cli(*generate, "-o", "-").out.encode() == data
    older = ("trace", "generate", "arithmetic", "-n", "20", "--digits", "2", "--held-out")
    assert cli(*older, "-o", "older.jsonl").code == 0
    assert (store / "older.jsonl").read_bytes() == data
    assert "--held-out" not in cli("trace", "generate", "--help").out
    for place in ((), ("--name", "sums", "-o", "sums.jsonl")):
        refused = cli(*generate, *place)
        assert (refused.code, "either --name NAME or -o FILE" in refused.err) == (2, True)
    assert cli(*generate, "--name", "a/b").code == 2
    assert cli(*generate, "--name", "sums", "--seed", "1").code == 2
    assert (store / "evalsets/sums.jsonl").read_bytes() == data


def test_held_out_problems_are_never_among_the_traces(
    cli: Callable[..., Outcome], store: Path
) -> None:
    made = cli(
        "trace", "generate", "arithmetic", "-n", "50", "--held-out", "-o", "evalsets/sums.jsonl"
    )
    assert made.code == 0
    assert made.out.startswith("sha256:")
    again = cli(
        "trace",
        "generate",
        "arithmetic",
        "-n",
        "50",
        "--held-out",
        "-o",
        "evalsets/sums.jsonl",
        "--json",
    )
    assert again.document["n_samples"] == 50
    other = cli(
        "trace", "generate", "arithmetic", "-n", "51", "--held-out", "-o", "evalsets/sums.jsonl"
    )
    assert other.code == 2
    assert "never changes" in other.err
    held_out = {
        json.loads(line)["prompt"]
        for line in (store / "evalsets/sums.jsonl").read_text().splitlines()
    }
    assert cli("trace", "generate", "arithmetic", "-n", "900", "--seed", "3").code == 0
    shown = {t["prompt"] for t in cli("trace", "list", "--json").document["traces"]}
    assert len(held_out) == 50
    assert not held_out & shown


def test_traces_are_listed_shown_and_compared(cli: Callable[..., Outcome], store: Path) -> None:
    listed = cli("trace", "list", "--where", "kind=addition", "--limit", "2", "--json").document
    first, second = listed["traces"]
    assert cli("trace", "list", "--where", "kind=subtraction").out == "(none)\n"
    table = cli("trace", "list", "--limit", "2").out
    assert first["id"].removeprefix("sha256:")[:12] in table
    prefix = first["id"].removeprefix("sha256:")[:8]
    shown = cli("trace", "show", prefix)
    assert first["prompt"] in shown.out
    assert "Answer: " + first["final_answer"] in shown.out
    assert cli("trace", "show", prefix, "--json").document["steps"] == first["steps"]
    compared = cli("trace", "compare", first["id"], second["id"])
    assert "the prompts are different" in compared.out
    same = cli("trace", "compare", first["id"], first["id"], "--json").document
    assert same["score_delta"] == 0
    assert {step["change"] for step in same["steps"]} == {"same"}


def test_snapshots_are_created_listed_and_shown(cli: Callable[..., Outcome], store: Path) -> None:
    assert cli("snapshot", "list").out == "(none)\n"
    document = cli("snapshot", "create", "--json").document
    assert (document["n_traces"], document["n_events"]) == (40, 40)
    digest = document["digest"]
    assert cli("snapshot", "create").out == digest + "\n"
    assert cli("snapshot", "list", "--json").document["snapshots"] == [
        {k: v for k, v in document.items() if k != "schema_version"}
    ]
    assert digest[7:19] in cli("snapshot", "list").out
    shown = cli("snapshot", "show", digest[7:15])
    assert digest in shown.out
    assert len(cli("snapshot", "show", digest, "--json").document["segments"]) == 1


def test_datasets_are_built_once_and_exported_the_same_way_twice(
    cli: Callable[..., Outcome], store: Path
) -> None:
    build = [
        "dataset",
        "build",
        "sums",
        "v1",
        "--where",
        "source=arithmetic",
        "--split",
        "test=0.2",
    ]
    first = cli(*build, "--json").document
    assert first["dataset_key"] == "sums-v1"
    assert first["trace_count"] == 40
    assert sum(first["split_counts"].values()) == 40
    before = tree(store)
    again = cli(*build)
    assert "existed already" in again.err
    assert again.out == first["digest"] + "\n"
    assert tree(store) == before
    assert "sums-v1" in cli("dataset", "list").out
    assert cli("dataset", "list", "--json").document["datasets"][0]["digest"] == first["digest"]
    assert first["digest"] in cli("dataset", "show", "sums-v1").out
    assert cli("dataset", "show", "sums-v1", "--json").document["manifest"]["seed"] == 0
    for name in ("trace", "tunix_sft", "training_example"):
        printed = cli("dataset", "export", "sums-v1", "--format", name)
        assert cli("dataset", "export", "sums-v1", "--format", name, "-o", "out.jsonl").code == 0
        assert (store / "out.jsonl").read_text() == printed.out
        figures = cli("dataset", "export", "sums-v1", "--format", name, "--json").document
        assert figures["rows"] == first["split_counts"]["train"]
        assert figures["sha256"] in printed.err
    every = cli("dataset", "export", "sums-v1", "--format", "trace", "--split", "all")
    splits = Counter(json.loads(row)["split"] for row in every.out.splitlines())
    assert dict(splits) == {name: n for name, n in first["split_counts"].items() if n}
    assert not (store / "out.jsonl.partial").exists()


def test_an_export_warns_of_text_that_looks_like_a_special_token(
    cli: Callable[..., Outcome], store: Path
) -> None:
    record = TRACE | {"prompt": "What does <end_of_turn> mean?"}
    (store / "odd.jsonl").write_text(json.dumps(record) + "\n")
    assert cli("trace", "import", "odd.jsonl", "--from", "tunixrt").code == 0
    assert cli("dataset", "build", "odd", "v1", "--where", "source=manual").code == 0
    outcome = cli("dataset", "export", "odd-v1", "--format", "tunix_sft")
    assert "warning: 1 row contain" in outcome.err


def test_status_counts_and_verify_proves(cli: Callable[..., Outcome], store: Path) -> None:
    assert cli("dataset", "build", "all", "v1").code == 0
    (store / "evalsets/mine.jsonl").write_text(
        '{"id":"a","prompt":"1+1?","expected_answer":"2","category":"sums","difficulty":"easy"}\n'
    )
    status = cli("status")
    assert (
        "40 traces recorded, 40 active; 1 segment, 1 snapshot, 1 dataset, 0 runs, 1 eval set."
        in (status.out)
    )
    assert cli("status", "--json").document["dataset_keys"] == ["all-v1"]
    verified = cli("verify", "--rebuild")
    assert verified.code == 0
    assert "Every digest is right" in verified.out
    assert "all-v1 as tunix_sft" in verified.out
    assert "mine" in verified.err
    assert cli("verify", "--json").document["ok"] is True


def test_one_flipped_bit_fails_verification_and_is_named(
    cli: Callable[..., Outcome], store: Path
) -> None:
    assert cli("dataset", "build", "all", "v1").code == 0
    for path in sorted(p for p in (store / "store").rglob("*") if p.is_file()):
        original = path.read_bytes()
        flipped = bytearray(original)
        flipped[len(flipped) // 2] ^= 4
        path.write_bytes(flipped)
        outcome = cli("verify", "--json")
        assert outcome.code == 1, path
        named = {finding["path"] for finding in outcome.document["findings"]}
        assert path.relative_to(store).as_posix() in named
        text = cli("verify")
        assert path.relative_to(store).as_posix() in text.out
        path.write_bytes(original)
    assert cli("verify").code == 0


def test_the_store_is_found_upward_or_by_name(
    cli: Callable[..., Outcome], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = store / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert cli("status").code == 0
    monkeypatch.chdir(store.parent)
    assert cli("status", "--store", str(store)).code == 0
    monkeypatch.setenv("TUNIXRT_STORE", str(store))
    assert cli("status").code == 0


def test_a_reader_that_has_seen_enough_is_no_error(store: Path) -> None:
    # More than a pipe holds, so that the reader leaves before the end.
    Store.open(store).traces.generate_arithmetic(kinds=["addition"], n_digits=3, n=3000, seed=0)
    with subprocess.Popen(
        [sys.executable, "-m", "tunixrt.cli.main", "trace", "list", "--limit", "3000"],
        cwd=store,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"trace ")
        process.stdout.close()
        said = process.stderr.read()
    # 0 would say that the reader has seen all there is.
    assert (process.returncode, said) == (ExitCode.READER_GONE, b"")


def test_an_export_into_a_directory_that_is_not_there_gets_a_sentence(
    cli: Callable[..., Outcome], store: Path
) -> None:
    assert cli("dataset", "build", "all", "v1").code == 0
    outcome = cli("dataset", "export", "all-v1", "--format", "trace", "-o", "absent/out.jsonl")
    assert outcome.code == 2
    assert "absent" in outcome.err


def test_a_large_store_answers_lookups_from_its_index(
    cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert cli("init").code == 0
    generate = ("trace", "generate", "arithmetic", "--kind")
    assert cli(*generate, "addition", "-n", "10001").code == 0
    assert cli(*generate, "subtraction", "-n", "5").code == 0
    found = cli("trace", "list", "--where", "kind=subtraction", "--json").document["traces"]
    assert len(found) == 5
    index = tmp_path / ".tunixrt" / "index.sqlite"
    assert index.exists()
    made = index.stat().st_ino
    last = found[-1]["id"]
    assert cli("trace", "show", last[7:20], "--json").document == {
        "schema_version": "1",
        **found[-1],
    }
    assert index.stat().st_ino == made
    assert cli("trace", "redact", last, "--reason", "asked for").code == 0
    assert not index.exists()
    where = ("trace", "list", "--where", "kind=subtraction", "--json")
    assert len(cli(*where).document["traces"]) == 4
    assert len(cli(*where, "--all").document["traces"]) == 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("reasoning-gym",), "Name the task of reasoning-gym: --task NAME, such as countdown."),
        (("arithmetic", "--task", "gcd"), "--task has no effect here: it goes with reasoning-gym."),
        (
            ("reasoning-gym", "--task", "gcd", "--digits", "2"),
            "--digits has no effect here: it goes with arithmetic.",
        ),
        (("reasoning-gim", "--task", "gcd"), "Did you mean 'reasoning-gym'?"),
    ],
)
def test_options_of_other_problems_are_refused(
    cli: Callable[..., Outcome], store: Path, options: tuple[str, ...], sentence: str
) -> None:
    for noun in ("trace", "evalset"):
        refused = cli(noun, "generate", *options, "-n", "2")
        assert refused.code == 2
        assert sentence in refused.err


def test_tasks_of_reasoning_gym_are_generated_as_traces_and_as_eval_sets(
    cli: Callable[..., Outcome], store: Path
) -> None:
    pytest.importorskip("reasoning_gym")
    options = ("reasoning-gym", "--task", "gcd", "-n", "3")
    assert cli("trace", "generate", *options, "--json").document["recorded"] == 3
    made = cli("evalset", "generate", *options, "--name", "gcd", "--seed", "5")
    shown = cli("evalset", "show", "gcd", "--json").document
    assert (made.code, made.out.strip()) == (0, shown["digest"])
    assert {sample["category"] for sample in shown["samples"]} == {"gcd"}
    none = cli("trace", "generate", "reasoning-gym", "--task", "graph_color", "-n", "2")
    assert "dropped: 2 x item without an answer of its own" in none.err
    assert cli("evalset", "generate", *options, "-o", "-").code == 2
