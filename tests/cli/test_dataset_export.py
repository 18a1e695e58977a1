"""`dataset export` and `dataset card` on the command line: containers, checks, exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

EXPORT = ("dataset", "export", "sums-v1", "--format")


@pytest.fixture
def store(cli: Callable[..., Outcome], tmp_path: Path) -> Path:
    """A store with forty sums."""
    assert cli("init").code == 0
    assert cli("trace", "generate", "arithmetic", "-n", "40", "--kind", "addition").code == 0
    return tmp_path


@pytest.fixture
def sums(cli: Callable[..., Outcome], store: Path) -> Path:
    assert cli("dataset", "build", "sums", "v1").code == 0
    return store


def test_a_check_exits_with_1_and_names_the_first_record_that_differs(
    cli: Callable[..., Outcome], sums: Path
) -> None:
    assert cli(*EXPORT, "text", "-o", "x.jsonl").code == 0
    assert (sums / "x.jsonl.sha256").read_text().endswith("  x.jsonl\n")
    same = cli(*EXPORT, "text", "--check", "x.jsonl")
    assert (same.code, same.out) == (0, "sums-v1 as text: identical: 40 rows as the store says\n")
    lines = (sums / "x.jsonl").read_text().splitlines(keepends=True)
    (sums / "x.jsonl").write_text("".join([*lines[:2], *lines[3:]]))
    other = cli(*EXPORT, "text", "--check", "x.jsonl")
    assert (other.code, "diverged: x.jsonl, row 3: " in other.out) == (1, True)
    document = cli(*EXPORT, "text", "--check", "x.jsonl", "--json").document
    assert document["identical"] is False
    assert document["verdicts"][0]["line"] == 3


def test_a_slash_makes_a_directory_with_a_card(cli: Callable[..., Outcome], sums: Path) -> None:
    written = cli(*EXPORT, "messages", "-o", "out/", "--shard", "2", "--json").document
    assert written["rows"] == 40
    assert sorted(path.name for path in (sums / "out").iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "dataset_dict.json",
        "train",
        "tunixrt-export.json",
    ]
    assert cli(*EXPORT, "messages", "--check", "out", "--shard", "2").code == 0
    assert cli(*EXPORT, "text", "--check", "out", "--shard", "2").code == 1


def test_a_check_of_a_directory_names_the_split(cli: Callable[..., Outcome], store: Path) -> None:
    assert cli("dataset", "build", "sums", "v1", "--split", "test=0.5").code == 0
    everything = (*EXPORT, "messages", "--split", "all")
    assert cli(*everything, "-o", "out/").code == 0
    checked = cli(*everything, "--check", "out").out.splitlines()
    assert [line.partition(": ")[0] for line in checked] == [
        "sums-v1 as messages, train",
        "sums-v1 as messages, test",
    ]


def test_a_check_says_that_an_older_file_holds_what_was_redacted_since(
    cli: Callable[..., Outcome], sums: Path
) -> None:
    assert cli(*EXPORT, "text", "-o", "x.jsonl").code == 0
    forgotten = json.loads((sums / "x.jsonl").read_text().splitlines()[7])["id"]
    assert cli("trace", "redact", forgotten, "--reason", "asked").code == 0
    other = cli(*EXPORT, "text", "--check", "x.jsonl")
    assert (other.code, "diverged: x.jsonl, row 8: " in other.out) == (1, True)
    assert "1 member redacted: a file that was exported before holds the text" in other.err
    assert cli(*EXPORT, "text", "-o", "x.jsonl").code == 0
    assert cli(*EXPORT, "text", "--check", "x.jsonl").code == 0


def test_croissant_without_files_names_the_options_that_it_needs(
    cli: Callable[..., Outcome], sums: Path
) -> None:
    said = cli("dataset", "card", "sums-v1", "--croissant")
    assert (said.code, "--format FORMAT --file SPLIT=FILE" in said.err) == (2, True)


def test_an_export_warns_of_turns_that_most_trainers_would_learn(
    cli: Callable[..., Outcome], store: Path
) -> None:
    messages = [
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "3", "train": False},
        {"role": "user", "content": "Really?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "Thanks."},
    ]
    line = {"trace_version": "1.1", "messages": messages, "meta": {"source": "chat"}}
    (store / "chat.jsonl").write_text(json.dumps(line) + "\n")
    assert cli("trace", "import", "chat.jsonl", "--from", "tunixrt").code == 0
    assert cli("dataset", "build", "chat", "v1", "--where", "source=chat").code == 0
    said = cli("dataset", "export", "chat-v1", "--format", "messages")
    assert "warning: 1 row with turns that are not to be learned" in said.err
    for name in ("tunix_sft", "text", "training_example"):
        said = cli("dataset", "export", "chat-v1", "--format", name)
        assert f"1 row with turns that are not to be learned, which {name} cannot mark" in said.err
    said = cli("dataset", "export", "chat-v1", "--format", "prompt_completion")
    assert "1 row without the messages after the completion" in said.err
    assert "warning" not in said.err


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--shard", "2"), "--shard writes files: name them with -o."),
        (("-o", "x", "--check", "y"), "--check compares and -o writes: give one of them."),
        (("--reasoning", "tags"), "The format text has no messages"),
        (("--check", "absent.parquet"), "absent.parquet does not exist, or is not a file"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(
    args: tuple[str, ...], sentence: str, cli: Callable[..., Outcome], sums: Path
) -> None:
    outcome = cli(*EXPORT, "text", *args)
    assert (outcome.code, sentence in outcome.err) == (2, True)


def test_a_card_is_written_for_files_and_so_is_croissant(
    cli: Callable[..., Outcome], sums: Path
) -> None:
    assert cli(*EXPORT, "text", "-o", "train.parquet").code == 0
    card = ("dataset", "card", "sums-v1", "--format", "text", "--file", "train=train.parquet")
    shown = cli(*card, "--license", "mit")
    assert '    path: "train.parquet"' in shown.out
    assert cli(*card, "--license", "mit", "-o", "README.md").code == 0
    assert (sums / "README.md").read_text(encoding="utf-8") == shown.out
    croissant = json.loads(cli(*card, "--croissant").out)
    assert croissant["distribution"][0]["contentUrl"] == "train.parquet"
    refused = cli("dataset", "card", "sums-v1", "--file", "train=train.parquet")
    assert (refused.code, "--file needs --format" in refused.err) == (2, True)
