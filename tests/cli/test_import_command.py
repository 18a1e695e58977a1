"""`tunixrt trace import` from where people have their data: what it says, records and leaves."""

from __future__ import annotations

import base64
import gzip
import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.making.files import TRACE, tree
from tests.making.terminals import PROGRAM, read_all
from tunixrt import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Cli = Callable[..., Outcome]


def chat(question: str) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": "Yes."}]
    return {"messages": turns}


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in values)


@pytest.fixture
def store(cli: Cli, tmp_path: Path) -> Path:
    assert cli("init").code == 0
    return tmp_path


def mixed(directory: Path) -> None:
    """Six chats in five containers, one of them twice."""
    (directory / "data").mkdir(parents=True)
    (directory / "a.jsonl").write_bytes(lines(chat("1")))
    (directory / "b.json").write_text(json.dumps([chat("2"), chat("1")], indent=1))
    (directory / "c.jsonl.gz").write_bytes(gzip.compress(lines(chat("3"))))
    (directory / "d.jsonl.zst").write_bytes(zstandard.compress(lines(chat("4"))))
    pq.write_table(pa.Table.from_pylist([chat("5"), chat("6")]), directory / "data/e.parquet")


def test_files_of_several_containers_are_one_segment(cli: Cli, store: Path) -> None:
    mixed(store / "d")
    document = cli("trace", "import", "d", "--json").document
    assert (document["format"], document["recorded"], document["duplicates"]) == ("messages", 6, 1)
    assert [file["file"] for file in document["files"]] == [
        *("d/a.jsonl", "d/b.json", "d/c.jsonl.gz", "d/d.jsonl.zst", "d/data/e.parquet")
    ]
    assert len(list(store.glob("store/log/*/*"))) == 1


@pytest.mark.parametrize("bad", ["cut off.gz", "bad.parquet", "bad.json"])
def test_one_bad_container_among_several_leaves_nothing_recorded(
    cli: Cli, store: Path, bad: str
) -> None:
    mixed(store / "d")
    whole = {
        "cut off.gz": gzip.compress(lines(chat("7")))[:-4],
        "bad.parquet": (store / "d/data/e.parquet").read_bytes()[:-9],
        "bad.json": json.dumps([chat("8"), {"messages": "none"}]).encode(),
    }
    (store / bad).write_bytes(whole[bad])
    before = tree(store)
    outcome = cli("trace", "import", "d", bad, "d/a.jsonl")
    assert (outcome.code, outcome.out) == (2, "")
    assert bad in outcome.err
    assert tree(store) == before


def test_the_format_is_recognised_and_said(cli: Cli, store: Path) -> None:
    (store / "t.jsonl").write_bytes(lines(chat("1")))
    said = cli("trace", "import", "t.jsonl").err.splitlines()
    assert said == [
        (
            "Read as messages, recognised by the first records of t.jsonl; --from states another "
            "format."
        ),
        "t.jsonl: 1 trace recorded, 0 duplicates, 0 rejected.",
    ]
    (store / "t.jsonl").write_bytes(lines(TRACE))
    assert cli("trace", "import", "t.jsonl", "--json").document["format"] == "tunixrt"
    stated = cli("trace", "import", "t.jsonl", "--from", "tunixrt")
    assert "Read as" not in stated.err


def test_a_format_that_is_not_recognised_is_an_error_that_names_the_file(
    cli: Cli, store: Path
) -> None:
    before = tree(store)
    for data, sentence in (
        (b'{"a": 1}\n', "u.jsonl: The first records fit none of the formats tunixrt, "),
        (b"", "The file u.jsonl holds no records: it is empty or has only blank lines."),
        (b"{\n", "u.jsonl cannot be recognised, since no JSON record is at its beginning. State "),
    ):
        (store / "u.jsonl").write_bytes(data)
        outcome = cli("trace", "import", "u.jsonl")
        assert (outcome.code, sentence in outcome.err) == (2, True), outcome.err
    (store / "u.jsonl").unlink()
    assert tree(store) == before


def test_records_of_another_format_than_stated_are_named(cli: Cli, store: Path) -> None:
    alpaca = {"instruction": "Add.", "input": "1 1", "output": "2"}
    for record, other in ((chat("1"), "messages"), (alpaca, "alpaca")):
        (store / "t.jsonl").write_bytes(lines(record))
        outcome = cli("trace", "import", "t.jsonl", "--from", "tunixrt")
        assert outcome.code == 2
        assert f" It looks like {other}: import it with --from {other}. Nothing was" in outcome.err


def test_a_dry_run_shows_the_first_traces_counts_everything_and_writes_nothing(
    cli: Cli, store: Path
) -> None:
    mixed(store / "d")
    assert cli("trace", "import", "d/c.jsonl.gz").code == 0
    before = tree(store)
    outcome = cli("trace", "import", "d", "--source", "web", "--dry-run")
    assert outcome.code == 0
    shown = outcome.out.splitlines()
    assert [line for line in shown if "user" in line] == ["  user: 1", "  user: 2", "  user: 1"]
    assert shown[1:4] == ["  source: web", "  user: 1", "  assistant: Yes."]
    assert "5 files: 6 traces new, 1 duplicate, 0 rejected." in outcome.err
    assert outcome.err.endswith("Nothing was recorded: this was a dry run.\n")
    document = cli("trace", "import", "d", "--dry-run", "--json").document
    assert (document["recorded"], document["duplicates"], document["segment"]) == (5, 2, None)
    assert [trace["messages"] for trace in document["traces"]] == [
        chat(number)["messages"] for number in "121"
    ]
    assert tree(store) == before


def test_a_dry_run_counts_what_was_dropped_and_fails_where_the_import_would(
    cli: Cli, store: Path
) -> None:
    answer = "one\n\n#### 2"
    (store / "g.csv").write_text(f'question,answer\n1+1?,"{answer}"\n\n2+2?,none\n')
    before = tree(store)
    gsm8k = ("trace", "import", "g.csv", "--from", "gsm8k")
    for dry_run in ((), ("--dry-run",)):
        failed = cli(*gsm8k, *dry_run)
        assert (failed.code, 'g.csv, row 3: The field "answer"' in failed.err) == (2, True)
    counted = cli(*gsm8k, "--dry-run", "--on-error", "quarantine")
    assert counted.code == 0
    assert "  step 1: one" in counted.out
    assert "g.csv: 1 trace new, 0 duplicates, 1 rejected." in counted.err
    assert "  dropped: 1 x blank line between records (row 2)" in counted.err
    assert "  dropped: 1 x blank line in an answer (row 1)" in counted.err
    assert 'rejected: g.csv, row 3: The field "answer" should be' in counted.err
    assert tree(store) == before


def test_one_file_takes_the_rejects_of_every_container_with_all_their_bytes(
    cli: Cli, store: Path
) -> None:
    mixed(store / "d")
    (store / "d/b.json").write_text('[{"messages":\n []}]')
    (store / "d/c.jsonl.gz").write_bytes(gzip.compress(b"\xfb\xfc not text\n" + lines(chat("3"))))
    pq.write_table(pa.table({"messages": [["x"]], "i": [b"\xff"]}), store / "d/data/e.parquet")
    quarantine = ("--from", "messages", "--on-error", "quarantine", "--rejects", "bad.jsonl")
    document = cli("trace", "import", "d", *quarantine, "--json").document
    assert (document["recorded"], document["rejected"]) == (3, 3)
    assert [file["rejects_file"] for file in document["files"]] == [
        *(None, "bad.jsonl", "bad.jsonl", None, "bad.jsonl")
    ]
    rejects = [json.loads(line) for line in (store / "bad.jsonl").read_bytes().splitlines()]
    places = [(line["file"], line["unit"], line["line"]) for line in rejects]
    assert places == [
        ("d/b.json", "record", 1),
        ("d/c.jsonl.gz", "line", 1),
        ("d/data/e.parquet", "row", 1),
    ]
    assert rejects[0]["raw"] == '{"messages":\n []}'
    assert base64.b64decode(rejects[1]["raw_base64"]) == b"\xfb\xfc not text"
    assert json.loads(rejects[2]["raw"]) == {"messages": ["x"], "i": "/w=="}
    assert all(line["reason"] for line in rejects)
    assert [path.name for path in store.rglob("*.rejects.jsonl")] == []


def test_an_option_without_effect_is_refused(cli: Cli, store: Path) -> None:
    (store / "t.jsonl").write_bytes(lines(TRACE))
    outcome = cli("trace", "import", "t.jsonl", "--rejects", "r.jsonl")
    assert (outcome.code, "it goes with --on-error quarantine" in outcome.err) == (2, True)
    outcome = cli("trace", "import", "t.jsonl", "--strip-calculator")
    assert (outcome.code, "Only the format gsm8k has calculator" in outcome.err) == (2, True)


def test_python_takes_paths_globs_and_directories_and_recognises_the_format(tmp_path: Path) -> None:
    from tunixrt.derive import Watch

    store = Store.init(tmp_path)
    mixed(tmp_path / "d")
    seen: list[tuple[int, int]] = []
    notices: list[str] = []
    watch = Watch(
        on_progress=lambda done, total, _: seen.append((done, total)), on_notice=notices.append
    )
    dry = store.traces.import_(tmp_path / "d", dry_run=True, watch=watch)
    assert (dry.recorded, dry.segment, dry.format, len(dry.first_traces)) == (
        6,
        None,
        "messages",
        3,
    )
    size = sum(path.stat().st_size for path in (tmp_path / "d").rglob("*") if path.is_file())
    assert {total for _, total in seen} == {size}
    assert seen[-1][0] >= size
    assert len(notices) == 1
    assert len(store.traces) == 0
    report = store.traces.import_([f"{tmp_path}/d/*.json*", tmp_path / "d" / "data"])
    assert (report.recorded, report.duplicates) == (6, 1)


def chats(path: Path, n: int) -> None:
    with gzip.open(path, "wb", 1) as file:
        file.writelines(lines(chat(f"Question {i * 7919 % 1_000_003}")) for i in range(n))


def test_progress_is_in_bytes_on_a_terminal(store: Path) -> None:
    noise = [chat(base64.b64encode(os.urandom(1_000_000)).decode()) for _ in range(6)]
    (store / "t.jsonl").write_bytes(lines(*noise))
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "trace", "import", "t.jsonl"],
        cwd=store,
        stdout=subprocess.DEVNULL,
        stderr=its_end,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(its_end)
    said = read_all(terminal)
    assert process.wait() == 0
    assert "importing: megabyte 4 of 8 (50%)" in said


def test_ctrl_c_leaves_nothing(store: Path) -> None:
    chats(store / "t.jsonl.gz", 60_000)
    (store / "bad.jsonl").write_bytes(b"{}\n")
    before = tree(store)
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tunixrt.cli.main import main\n"
        "from tunixrt.traces.importers import lines\n"
        "real = lines.line_chunks\n"
        "def interrupted(*arguments):\n"
        "    for number, chunk in enumerate(real(*arguments)):\n"
        "        if number == 3: signal.raise_signal(signal.SIGINT)\n"
        "        yield chunk\n"
        "from tunixrt.traces.importers import containers\n"
        "containers.line_chunks = interrupted\n"
        "main()\n"
    )
    quarantine = ("--from", "messages", "--on-error", "quarantine", "--rejects", "r.jsonl")
    done = subprocess.run(
        [sys.executable, "-c", program, "trace", "import", "bad.jsonl", "t.jsonl.gz", *quarantine],
        cwd=store,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 130
    assert tree(store) == before
    assert not list((store / "store" / ".tmp").iterdir())
