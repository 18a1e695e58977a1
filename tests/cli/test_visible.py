"""What a trace says never reaches a terminal as a control character, in whatever command."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.making.every_command import COMPUTING, every_command
from tests.making.hostile import TEXTS
from tests.making.runs import made_evaluation, made_store, write_evalset
from tests.making.sites import hostile_conversation
from tunixrt.cli.streams import TextDoor, _Outlet
from tunixrt.traces.facts import labelled
from tunixrt.visible import one_line, visible, visible_escapes, visible_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome
    from tunixrt import Store

#: The title of the window, colours, an 8-bit control sequence, overwriting, a turn of direction.
EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\rerased\x7f\u202e\u2066\u200b"
ALL = [*TEXTS, EVIL]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = made_store(tmp_path_factory.mktemp("hostile"), n=8, n_samples=8)
    for text in ALL:
        store.traces.add(
            {
                "trace_version": "1.0",
                "prompt": text,
                "final_answer": text,
                "steps": [{"i": 0, "type": text[:60], "content": text}],
                "meta": {"source": text, text[:40]: [text]},
            }
        )
    store.traces.add(hostile_conversation(text) for text in ALL)
    states = list(store.traces.projection().traces())
    for state, text in zip(states, ALL, strict=False):
        store.log.append([labelled(state.id, "quality", text[:200])])
    store.traces.label([states[-1].id], {"quality": EVIL})
    store.traces.retract([states[0].id], reason=EVIL)
    store.datasets.build("hostile", "v1", where={"source": EVIL})
    write_evalset(store, "rough", ALL)
    made_evaluation(store, None, n_right=3, evalset="rough", responses=ALL)
    # An eval set whose name is a file name of anyone's, and what lies about in the store.
    (store.layout.runs / f"x{EVIL}").mkdir()
    (store.layout.staging / f"x{EVIL}").mkdir(parents=True)
    return store


def check(name: object, outcome: Outcome) -> None:
    for text in (outcome.out, outcome.err):
        assert visible(text) == text, name
        assert "\r" not in text, name


def test_every_command_prints_only_what_can_be_seen(
    cli: Callable[..., Outcome], store: Store
) -> None:
    root = ["--store", str(store.root)]
    for name, args in every_command(store).items():
        if name in COMPUTING | {"dataset export"}:
            continue
        anywhere = name in {"init", "snapshot check-proof", "evalset size", "presets", "completion"}
        for more in ([], ["--json"]):
            check(name, cli(*args, *more, *([] if anywhere else root)))
    for args in (
        ["evalset", "show", "rough"],
        ["dataset", "show", "hostile-v1"],
        ["dataset", "diff", "hostile-v1", "sums-v1"],
        ["dataset", "tokens", "hostile-v1", "--show", "99"],
        ["evalset", "check", "rough", "--dataset", "hostile-v1"],
        ["trace", "list", "--all", "--where", f"source={EVIL}"],
    ):
        for more in ([], ["--json"]):
            check(args, cli(*args, *more, *root))


def test_every_trace_is_shown_so_that_all_of_it_can_be_seen(
    cli: Callable[..., Outcome], store: Store
) -> None:
    root = ["--store", str(store.root)]
    states = list(store.traces.projection().traces())
    evil, talk = store.traces.select({"source": EVIL})
    assert f"[user {one_line(EVIL)}] {visible(EVIL)}" in cli("trace", "show", talk.id, *root).out
    for state in (evil.state, talk.state, *states[-3:]):
        trace = store.traces[state.id].flat
        shown = cli("trace", "show", state.id, *root)
        check("show", shown)
        assert visible(trace.prompt) in shown.out
        assert f"Answer: {visible(trace.final_answer)}" in shown.out
        check("compare", cli("trace", "compare", states[1].id, state.id, *root))
        # JSON has escapes of its own, and the values are those that were recorded.
        document = cli("trace", "show", state.id, "--json", *root)
        check("json", document)
        assert document.document["prompt"] == trace.prompt


def test_errors_show_what_they_quote(
    cli: Callable[..., Outcome], store: Store, tmp_path: Path
) -> None:
    root = ["--store", str(store.root)]
    path = tmp_path / "x\x1b[31m\u202e.jsonl"
    path.write_text(json.dumps({EVIL: EVIL}) + "\n" + EVIL + "\n")
    for args in (
        ["trace", "import", str(path), "--from", "tunixrt"],
        ["trace", "import", str(path), "--from", "tunixrt", "--on-error", "quarantine"],
        ["trace", "import", f"{EVIL}.jsonl", "--from", "tunixrt"],
        ["trace", "import", str(path), "--from", EVIL],
        ["trace", "show", EVIL],
        ["trace", "list", "--where", EVIL],
        ["trace", "add", "--prompt", "\udc9b", "--step", "a", "b", "--answer", "c"],
        ["dataset", "show", EVIL],
        ["dataset", "build", EVIL, "v1"],
        ["dataset", "export", "hostile-v1", "--format", EVIL],
        ["dataset", "export", "hostile-v1", "--format", "trace", "-o", f"no/{EVIL}"],
        ["evalset", "show", EVIL],
        ["evalset", "show", "rough", "--category", EVIL],
        ["run", "show", EVIL],
        ["run", "promote", EVIL, "--as", EVIL],
        ["verify", "--since", EVIL],
        ["train", EVIL, "--dataset", "hostile-v1", "--dry-run"],
        ["train", "nano", "--dataset", "hostile-v1", "--set", f"{EVIL}=1", "--dry-run"],
        ["trace", EVIL],
        ["status", EVIL],
        ["status", f"--{EVIL}"],
        [EVIL],
    ):
        outcome = cli(*args, *root)
        check(args, outcome)
        assert outcome.code != 0 or not outcome.out, args
    outcome = cli("status", "--store", str(tmp_path / EVIL))
    check("no store", outcome)
    assert visible(EVIL) in outcome.err  # shown, and not cut out
    assert "No such command" in cli("\x1b[31mred").err


def test_a_table_stays_a_table(cli: Callable[..., Outcome], store: Store) -> None:
    lines = cli("evalset", "show", "rough", "--store", str(store.root)).out.splitlines()
    assert len(lines) == 2 + len(ALL)


def test_a_terminal_gets_the_same_as_a_pipe(store: Store) -> None:
    state, _ = store.traces.select({"source": EVIL})
    program = [sys.executable, "-m", "tunixrt.cli.main", "trace", "show", state.id]
    terminal, its_end = pty.openpty()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm-256color"}
    done = subprocess.run(
        [*program, "--store", str(store.root)],
        stdout=its_end,
        stderr=subprocess.STDOUT,
        env=environment,
        check=True,
    )
    os.close(its_end)
    shown = b""
    while b"Answer: " not in shown or not shown.endswith(b"\n"):
        shown += os.read(terminal, 65536)
    os.close(terminal)
    text = shown.decode().replace("\r\n", "\n")
    assert done.returncode == 0
    assert visible(text) == text
    assert visible(EVIL) in text


def test_the_signs_are_the_same_values_in_json_and_escapes_elsewhere() -> None:
    assert visible(EVIL).startswith("␛]0;owned⟨U+0007⟩␛[31m⟨U+009B⟩2J␍erased⟨U+007F⟩⟨U+202E⟩")
    assert one_line("a\nb\tc\x1b") == "a⏎b⇥c␛"
    assert visible_escapes(EVIL[:9]) == "\\x1b]0;owned"
    for text in ALL:
        plain = json.dumps([text], ensure_ascii=False)
        assert json.loads(visible_json(plain)) == [text]
    assert json.loads(visible_json(json.dumps("\U000e0041", ensure_ascii=False))) == "\U000e0041"


def test_text_that_waits_is_written_before_data() -> None:
    under = io.BytesIO()
    door = TextDoor(_Outlet(under, is_stdout=True), "ascii")
    door.write("é\x1b")
    door.flush()
    door.buffer.write(b"\x1b")
    door.flush()
    assert under.getvalue() == b"\\xe9\\x1b\x1b"


def test_a_program_that_collects_text_gets_the_data_too(
    cli: Callable[..., Outcome], store: Store
) -> None:
    args = ["trace", "list", "--json", "--store", str(store.root)]
    wanted = cli(*args).out
    with contextlib.redirect_stdout(io.StringIO()) as collected:
        assert cli(*args).code == 0
    assert collected.getvalue() == wanted
