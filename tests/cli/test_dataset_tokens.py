"""`tunixrt dataset tokens`: on a terminal, in a file, as a page and as JSON."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.making.conversations import conversation_value
from tests.making.events import recorded
from tests.making.files import tree
from tests.report.page_rules import problems
from tunixrt import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

MESSAGES = [
    {"role": "user", "content": "a\x1b[31m"},
    {"role": "assistant", "content": "b", "train": False},
    {"role": "user", "content": "<bos>"},
    {"role": "assistant", "content": "d\n<b>é🙂"},
]
MASKED = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "train": False}]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One conversation of two turns, the first of them masked."""
    store = Store.init(tmp_path)
    value = conversation_value(messages=MESSAGES, tools=..., final_answer=..., meta={})
    store.log.append([recorded(value)])
    store.datasets.build("talk", "v1")
    return store


def and_a_masked_one(store: Store) -> None:
    value = conversation_value(messages=MASKED, tools=..., final_answer=..., meta={})
    store.log.append([recorded(value)])
    store.datasets.build("talk", "v2")


def test_without_a_terminal_what_is_trained_is_between_marks(
    cli: Callable[..., Outcome], store: Store
) -> None:
    shown = cli("dataset", "tokens", "talk-v1")
    (member,) = store.datasets["talk-v1"].members()
    assert shown.out == (
        "talk-v1, split train, as tunix_sft; tokenizer bytes, no limit\n"
        "\n"
        f"{member.trace[7:19]}  73 tokens: 20 trained, 53 masked\n"
        "[<bos>][<start_of_turn>]user⏎\n"
        "a␛[31m[<end_of_turn>]⏎\n"
        "[<start_of_turn>]model⏎\n"
        "Answer: b[<end_of_turn>]⏎\n"
        "[<start_of_turn>]user⏎\n"
        "<bos>[<end_of_turn>]⏎\n"
        "[<start_of_turn>]model⏎\n"
        "{+Answer: d⏎\n"
        "<b>é🙂[<end_of_turn>]+}\n"
        "\n"
        "1 record: 1 kept, 0 dropped, 0 truncated, 0 redacted\n"
        "73 tokens: 20 trained, 53 masked, 0 dropped, 0 truncated\n"
        "73 to 73 tokens        1  ########################################\n"
    )
    assert not shown.err


def on_a_terminal(store: Store, **environment: str) -> str:
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tunixrt", "dataset", "tokens", "talk-v1"],
        cwd=store.root,
        stdout=its_end,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm", **environment},
    )
    os.close(its_end)
    text = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux reports this when the other end is closed
            break
        if not part:
            break
        text += part
    assert process.wait() == 0
    os.close(terminal)
    return text.decode().replace("\r\n", "\n")


def test_a_terminal_shows_what_is_trained_in_green(store: Store) -> None:
    text = on_a_terminal(store)
    assert "\x1b[32mAnswer: d⏎\n<b>é🙂\x1b[0m\x1b[32;1m<end_of_turn>\x1b[0m\n" in text
    assert "\x1b[90mmodel⏎\nAnswer: b\x1b[0m\x1b[90;1m<end_of_turn>\x1b[0m" in text
    # The escape sequence of the trace is shown; only those of the command reach the terminal.
    assert "a␛[31m" in text
    assert text.count("\x1b[") == text.count("\x1b[0m") + text.count("\x1b[32") + text.count(
        "\x1b[90"
    )


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours_gets_the_marks(
    store: Store, environment: dict[str, str]
) -> None:
    text = on_a_terminal(store, **environment)
    assert "{+Answer: d⏎\n<b>é🙂[<end_of_turn>]+}" in text
    assert "\x1b" not in text


def test_json_has_every_record_with_its_counts(cli: Callable[..., Outcome], store: Store) -> None:
    and_a_masked_one(store)
    shown = cli("dataset", "tokens", "talk-v2", "--show", "1", "--json")
    document = shown.document
    assert [len(record["tokens"]) > 0 for record in document["records"]] == [True, False]
    assert {record["outcome"] for record in document["records"]} == {"kept", "dropped"}
    (dropped,) = (record for record in document["records"] if record["outcome"] == "dropped")
    assert dropped["reason"] == "no learned token"
    assert dropped["n_dropped"] == dropped["n_tokens"]
    assert dropped["warnings"] == ["no token is trained"]
    assert document["tokenizer"] == "bytes"
    assert document["summary"]["reasons"] == {"no learned token": 1}
    assert shown.err == (f"warning: 1 record: no token is trained ({dropped['trace'][7:19]})\n")


def test_a_page_is_one_file_that_follows_the_rules(
    cli: Callable[..., Outcome], store: Store, tmp_path: Path
) -> None:
    and_a_masked_one(store)
    shown = cli("dataset", "tokens", "talk-v2", "-o", "page.html")
    assert (shown.code, shown.out) == (0, "")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert problems(page) == []
    assert '<ins title="105">d</ins>' in page
    assert '<ins class="special" title="4">&lt;end_of_turn&gt;</ins>' in page
    assert '<ins title="200, 174">é</ins>' in page
    assert "no token is trained" in page
    assert "http" not in page.replace("http-equiv", "")
    to_stdout = cli("dataset", "tokens", "talk-v2", "-o", "-")
    assert to_stdout.out == page


def test_what_does_not_go_together_is_refused_and_nothing_is_written(
    cli: Callable[..., Outcome], store: Store
) -> None:
    before = tree(store.root)
    for args, sentence in (
        (["--json", "-o", "-"], "--json and the page cannot both be on stdout"),
        (["--set", "data.format=answer_only"], "--set has no effect here: it goes with --config"),
        (["--run", "@last", "--config", "nano"], "give either the run, or a configuration"),
        (["--config", "nano", "--set", "data.formt=x"], "data.formt"),
        (["--tokenizer", "absent.json", "-o", "page.html"], "absent.json: The file cannot be read"),
        (["--split", "test", "-o", "page.html"], "no members in the split test"),
    ):
        refused = cli("dataset", "tokens", "talk-v1", *args)
        assert refused.code == 2
        assert sentence in refused.err
    assert tree(store.root) == before


PROBE = """
import sys
from tunixrt.cli.main import run
sys.argv = ["tunixrt", "dataset", "tokens", "talk-v1", *{args!r}]
code = run()
assert not {{"jax", "flax", "optax", "safetensors", "numpy"}} & sys.modules.keys()
sys.exit(code)
"""


@pytest.mark.parametrize("args", [[], ["--config", "nano", "--json"], ["-o", "page.html"]])
def test_it_never_imports_jax_or_numpy(store: Store, args: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(args=args)],
        cwd=store.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
