"""Readers that leave, full disks, terminals of other encodings, what `-o` names: real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.every_command import COMPUTING, every_command, known_commands
from tests.making.files import TRACE
from tests.making.runs import made_store
from tunixrt import Store
from tunixrt.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome

PROGRAM = [sys.executable, "-m", "tunixrt.cli.main"]
#: With a few of all kinds: text, tables, JSON, data, writers, help, errors.
SOME = [
    ["status"],
    ["trace", "list"],
    ["trace", "list", "--json"],
    ["dataset", "export", "sums-v1", "--format", "trace"],
    ["dataset", "build", "again", "v1"],
    ["--help"],
    ["--version"],
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return made_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def table(store: Store) -> dict[str, list[str]]:
    return every_command(store)


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHONUTF8", "PYTHONIOENCODING"}}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | more


def start(args: list[str], root: Path, **options: Any) -> subprocess.Popen[bytes]:
    if not {"init", "check-proof", "size", "presets", "completion", "--help", "--version"} & set(
        args
    ):
        args = [*args, "--store", str(root)]
    env = environment(**options.pop("env", {}))
    return subprocess.Popen([*PROGRAM, *args], stdin=subprocess.DEVNULL, env=env, **options)


def run(args: list[str], root: Path, **options: Any) -> tuple[int, bytes, bytes]:
    """Run a command; its exit code, and what came out where a pipe was asked for."""
    process = start(args, root, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options)
    out, err = process.communicate()
    return process.returncode, out or b"", err or b""


def closed_pipe() -> int:
    """The end of a pipe that no reader has any more."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_the_table_has_every_command(table: dict[str, list[str]]) -> None:
    assert set(table) == {name for name, _ in known_commands()}


def test_no_command_exits_with_1_because_its_reader_left(
    table: dict[str, list[str]], store: Store
) -> None:
    pipe = closed_pipe()
    for name, args in table.items():
        if name in COMPUTING - {"train"}:
            continue  # they end before they print: what they print is in the test below
        code, _, err = run(args, store.root, stdout=pipe)
        assert code in {0, ExitCode.READER_GONE}, (name, err)
        for word in (b"Traceback", b"Exception ignored", b"Broken pipe", b"rror:"):
            assert word not in err, (name, err)
    os.close(pipe)


@pytest.mark.parametrize("args", [*SOME, ["trace", "--help"]], ids=" ".join)
def test_a_reader_that_left_and_a_stdout_that_was_never_open(args: list[str], store: Store) -> None:
    pipe = closed_pipe()
    code, _, err = run(args, store.root, stdout=pipe)
    assert code == ExitCode.READER_GONE, err
    assert b"Traceback" not in err
    # Messages that no reader sees stop nothing: the data comes out whole.
    whole = run(args, store.root)
    assert run(args, store.root, stderr=pipe)[:2] == whole[:2]
    os.close(pipe)
    shell = ["sh", "-c", '"$@" >&-', "sh", *PROGRAM, *args]
    closed = subprocess.run(
        shell, cwd=store.root, env=environment(), check=False, capture_output=True
    )
    assert closed.returncode == 0, closed.stderr
    assert b"Traceback" not in closed.stderr
    shell[2] = '"$@" 2>&- <&-'
    closed = subprocess.run(
        shell, cwd=store.root, env=environment(), check=False, capture_output=True
    )
    assert (closed.returncode, closed.stdout) == whole[:2]


@pytest.mark.parametrize("args", SOME, ids=" ".join)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_stdout_gets_a_sentence(args: list[str], store: Store) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, err = run(args, store.root, stdout=full)
        assert code == 2
        assert b"error: standard output could not be written: No space left" in err
        assert b"Traceback" not in err
        assert run(args, store.root, stderr=full)[:2] == run(args, store.root)[:2]


def test_an_error_nobody_reads_keeps_its_exit_code(store: Store) -> None:
    pipe = closed_pipe()
    for args in (["trace", "show", "abcdef"], ["trace", "shw"], ["dataset", "show", "no-v1"]):
        assert run(args, store.root, stderr=pipe)[0] == 2
    os.close(pipe)


def test_a_pipe_that_does_not_block_gets_everything(store: Store) -> None:
    whole = run(["trace", "list", "--json"], store.root)[1]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = start(["trace", "list", "--json"], store.root, stdout=writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as out:
        assert out.read() == whole
    assert process.wait() == 0


ARROW = "15 → 27 é \x1b[31mred"


@pytest.fixture(scope="module")
def arrow(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store.init(tmp_path_factory.mktemp("arrow"))
    store.traces.add(
        {
            "trace_version": "1.0",
            "prompt": ARROW,
            "final_answer": ARROW,
            "steps": [{"i": 0, "type": "→", "content": ARROW}],
            "meta": {"→": ARROW},
        }
    )
    store.datasets.build("arrow", "v1")
    return store


@pytest.fixture(scope="module")
def data() -> dict[str, bytes]:
    """What commands printed in the first encoding that was tried."""
    return {}


ENCODINGS = {
    "cp1252": ({"PYTHONIOENCODING": "cp1252"}, b"15 \\u2192 27 \xe9 \\x1b[31mred"),
    "strict": ({"PYTHONIOENCODING": "latin-1:strict"}, b"15 \\u2192 27 \xe9 \\x1b[31mred"),
    "C": ({"LC_ALL": "C", "PYTHONUTF8": "0"}, b"15 \\u2192 27 \\xe9 \\x1b[31mred"),
    "UTF-8": ({"PYTHONIOENCODING": "utf-8"}, "15 → 27 é ␛[31mred".encode()),
    "dumb": ({"TERM": "dumb", "NO_COLOR": "1"}, "15 → 27 é ␛[31mred".encode()),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_text_fits_the_encoding_of_the_terminal_and_data_is_utf_8(
    name: str, arrow: Store, data: dict[str, bytes]
) -> None:
    env, shown = ENCODINGS[name]
    (trace,) = arrow.traces.projection().traces()
    code, out, err = run(["trace", "show", trace.id], arrow.root, env=env)
    assert (code, err) == (0, b"")
    assert out.count(shown) == 4
    code, _, err = run(["dataset", "show", "pfeil→\x1b[1m"], arrow.root, env=env)
    assert code == 2
    assert b"\x1b" not in err
    for args in (
        ["trace", "list", "--json"],
        ["log", "--json"],
        ["dataset", "export", "arrow-v1", "--format", "trace"],
    ):
        code, out, _ = run(args, arrow.root, env=env)
        assert code == 0
        assert b"\x1b" not in out
        assert json.loads(out.decode())
        assert data.setdefault(str(args), out) == out


def test_stdin_is_utf_8_whatever_the_terminal(arrow: Store) -> None:
    (trace,) = arrow.traces.projection().traces()
    document = json.loads(run(["trace", "show", trace.id, "--json"], arrow.root)[1])
    fields = ("trace_version", "prompt", "final_answer", "steps", "meta")
    line = json.dumps({key: document[key] for key in fields}, ensure_ascii=False)
    done = subprocess.run(
        [*PROGRAM, "trace", "add", "-", "--store", str(arrow.root)],
        input=line.encode(),
        env=environment(PYTHONIOENCODING="cp1252"),
        check=False,
        capture_output=True,
    )
    assert done.stdout.decode().strip() == trace.id


# What -o names


def outputs(table: dict[str, list[str]]) -> dict[str, list[str]]:
    """Every command that takes a file after -o."""
    held_out = ["trace", "generate", "arithmetic", "-n", "5", "--held-out"]
    return {
        "dataset export": table["dataset export"],
        "snapshot prove": table["snapshot prove"],
        "trace generate": held_out,
        "evalset generate": ["evalset", "generate", "arithmetic", "-n", "5"],
    }


def test_every_output_goes_through_pipes_and_links(
    table: dict[str, list[str]], store: Store, tmp_path: Path
) -> None:
    for name, args in outputs(table).items():
        plain = tmp_path / f"{name}.out"
        assert run([*args, "-o", str(plain)], store.root)[0] == 0
        wanted = plain.read_bytes()
        fifo, link = tmp_path / f"{name}.fifo", tmp_path / f"{name}.link"
        os.mkfifo(fifo)
        process = start([*args, "-o", str(fifo)], store.root, stdout=-1, stderr=-1)
        assert fifo.read_bytes() == wanted
        process.communicate()
        assert process.returncode == 0
        assert fifo.is_fifo()
        link.symlink_to(plain)
        assert run([*args, "-o", str(link)], store.root)[0] == 0
        assert link.is_symlink()
        for stdout in ("-", "/dev/stdout", "/dev/fd/1"):
            assert run([*args, "-o", stdout], store.root)[1].startswith(wanted), (name, stdout)
        code, _, err = run([*args, "-o", str(tmp_path)], store.root)
        if name == "dataset export":  # a directory is an output, unless another program made it
            assert (code, b"was not made by `tunixrt dataset export`" in err) == (2, True)
        else:
            assert (code, b"is a directory" in err) == (2, True)
            code, _, err = run([*args, "-o", f"{tmp_path}/absent/"], store.root)
            assert (code, b"ends in a slash" in err) == (2, True)
        code, _, err = run([*args, "-o", str(tmp_path / "absent" / "x")], store.root)
        assert (code, b"does not exist" in err) == (2, True)
        reader = closed_pipe()
        code, _, err = run([*args, "-o", f"/dev/fd/{reader}"], store.root, pass_fds=(reader,))
        assert (code, b"Traceback" in err) == (ExitCode.READER_GONE, False)
        os.close(reader)
        assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_leaves_the_older_file_and_nothing_beside_it(
    number: signal.Signals, store: Store, tmp_path: Path
) -> None:
    """The process sends itself the signal when all is written, and not in its place yet."""
    path = tmp_path / "out.jsonl"
    path.write_text("older")
    program = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and `nohup` this one
from tunixrt.cli.main import main
def hook(event, arguments):
    if event == "os.rename" and "/.tunixrt-" in str(arguments[0]):
        os.kill(os.getpid(), {int(number)})
sys.addaudithook(hook)
main()
"""
    export = ["dataset", "export", "sums-v1", "--format", "trace", "-o", str(path)]
    done = subprocess.run(
        [sys.executable, "-c", program, *export, "--store", str(store.root)],
        env=environment(),
        check=False,
        capture_output=True,
    )
    assert done.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert b"Traceback" not in done.stderr
    assert path.read_text() == "older"
    assert [p.name for p in tmp_path.iterdir()] == ["out.jsonl"]


def test_rejects_go_where_a_link_leads_and_overwrite_nothing_else(
    cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert cli("init").code == 0
    (tmp_path / "mixed.jsonl").write_text(f"{json.dumps(TRACE)}\n[]\n")
    (tmp_path / "mixed.jsonl.rejects.jsonl").symlink_to("elsewhere")
    (tmp_path / "mixed.jsonl.rejects.jsonl.partial").write_text("theirs")
    args = ["trace", "import", "mixed.jsonl", "--from", "tunixrt", "--on-error", "quarantine"]
    assert cli(*args).code == 0
    assert json.loads((tmp_path / "elsewhere").read_text())["line"] == 2
    assert (tmp_path / "mixed.jsonl.rejects.jsonl").is_symlink()
    assert (tmp_path / "mixed.jsonl.rejects.jsonl.partial").read_text() == "theirs"


def test_reports_and_sites_never_touch_what_they_did_not_write(
    cli: Callable[..., Outcome],
    table: dict[str, list[str]],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("report", "site build"):
        place = tmp_path / name.split()[0]
        args = [*table[name][:-1], str(place), "--store", str(store.root)]
        here = [*table[name][:-1], ".", "--store", str(store.root)]
        theirs = place.with_name(f"{place.name}.partial")
        theirs.mkdir()
        (theirs / "important").write_text("theirs")
        assert cli(*args).code == 0
        (place / "CNAME").write_text("theirs")
        (place / "report.md.partial").write_text("theirs")
        assert cli(*args).code == 0
        monkeypatch.chdir(place)
        assert cli(*here).code == 0
        assert (place / "CNAME").read_text() == "theirs"
        assert (place / "report.md.partial").read_text() == "theirs"
        assert (theirs / "important").read_text() == "theirs"
        other = tmp_path / f"{place.name}-other"
        other.mkdir()
        (other / "index.html").write_text("theirs")
        (other / "report.md").write_text("theirs")
        monkeypatch.chdir(other)
        for refused in (here, [*table[name][:-1], str(other), "--store", str(store.root)]):
            outcome = cli(*refused)
            assert (outcome.code, "was not made by" in outcome.err) == (2, True)
        assert sorted(p.name for p in other.iterdir()) == ["index.html", "report.md"]
        assert (other / "index.html").read_text() == "theirs"
