"""The base install: every command works, or ends with exit 2 and the line that installs the rest.

One process with nothing but the base packages runs every command of the program, one after the
other; the examples in a command's help are its arguments where this page knows no better ones.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.base_install import base_python, link_base_install
from tests.making.every_command import known_commands
from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt.cli.base import ExampleCommand
from tunixrt.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

TRAIN = "pip install 'tunixrt[train]'"
MATH = "pip install 'tunixrt[math]'"
GYM = "pip install 'tunixrt[gym]'"
SQL = "pip install 'tunixrt[sql]'"

#: What needs an extra, and the line that must be printed.
NEEDS = [
    ("train nano --dataset sums-v1", TRAIN),
    ("train nano --dataset sums-v1 --dry-run", TRAIN),
    ("train nano --dataset sums-v1 --json", TRAIN),
    ("train nano --dataset sums-v1 --base {training}", TRAIN),
    ("eval untrained:nano --evalset sums", TRAIN),
    ("eval {training} --evalset sums", TRAIN),
    ("eval {training} --evalset sums --temperature 0.8 --draws 2", TRAIN),
    ("eval untrained:nano --evalset sums --judge math-verify", MATH),
    ("dataset tokens sums-v1 --tokenizer mine.jsonl", "pip install 'tunixrt[tokenizers]'"),
    ("reproduce {training}", TRAIN),
    ("reproduce {evaluation}", TRAIN),
    ("reproduce --all", TRAIN),
    ("reproduce --all --jobs 2", TRAIN),
    ("trace generate reasoning-gym --task countdown -n 2", GYM),
    ("evalset generate reasoning-gym --task countdown -n 2 --name countdown", GYM),
    ("eval untrained:nano --evalset sums --judge reasoning-gym", GYM),
    ("dataset build long v1 --sql 'SELECT id FROM traces WHERE n_steps > 9'", SQL),
]

#: What works with arguments that the examples cannot know.
WORKS = [
    "--version",
    "--help",
    "init .",
    "status",
    "log",
    "verify --rebuild",
    "doctor",
    "trace import mine.jsonl --from tunixrt",
    "trace generate arithmetic -n 5 --seed 9",
    "trace list --limit 2",
    "snapshot list",
    "dataset list",
    "dataset show sums-v1",
    "dataset export sums-v1 --format tunix_sft -o out.jsonl",
    "dataset tokens sums-v1 -o tokens.html",
    "dataset tokens sums-v1 --config nano --json",
    "evalset list",
    "evalset show sums",
    "evalset check sums",
    "evalset check sums --model untrained:nano",
    "run list --ids",
    "run list",
    "run show {training}",
    "run promote {training} --as first",
    "run compare {evaluation} {evaluation}",
    "report {evaluation} {evaluation} -o report",
    "site build -o public",
]

RUNNER = """
import contextlib, importlib.util, io, json, sys, traceback
assert importlib.util.find_spec("numpy") is None
from tunixrt.cli.main import run
results = []
for args in json.load(open("commands.json")):
    sys.argv = ["tunixrt", *args]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = int(run())
        except BaseException:
            code = -1
            traceback.print_exc()
    results.append({"args": args, "code": code, "out": out.getvalue(), "err": err.getvalue()})
json.dump(results, open("results.json", "w"))
"""

Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The ids of two runs, and the directory of their store."""
    root = tmp_path_factory.mktemp("base") / "store"
    store = made_store(root)
    trained = made_training(store)
    evaluation = made_evaluation(store, trained, n_right=10)
    (root / "mine.jsonl").write_text(
        '{"trace_version": "1.0", "prompt": "1+1", "final_answer": "2", '
        '"steps": [{"i": 0, "type": "compute", "content": "1+1=2"}]}\n'
    )
    return {"root": str(root), "training": trained.run_id, "evaluation": evaluation.run_id}


@pytest.fixture(scope="module")
def results(runs: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What every command did, by its line."""
    links = link_base_install(tmp_path_factory.mktemp("links") / "site")
    root = tmp_path_factory.mktemp("ran") / "store"
    shutil.copytree(runs["root"], root)
    lines = [*WORKS, *(line for line, _ in NEEDS), *_examples()]
    arguments = [shlex.split(line.format(**runs)) for line in lines]
    (root / "commands.json").write_text(json.dumps(arguments))
    done = subprocess.run(
        [*base_python(), "-c", RUNNER],
        cwd=root,
        env={"PATH": os.environ["PATH"], "HOME": str(root), "PYTHONPATH": str(links)},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(lines, json.loads((root / "results.json").read_text()), strict=True))


def _examples() -> list[str]:
    """The first example of every command, without the name of the program."""
    found = []
    for name, command in known_commands():
        assert isinstance(command, ExampleCommand)
        line = command.examples[0].split(" | ")[0].removeprefix("tunixrt ")
        if name != "init":
            found.append(line)
    return found


@pytest.mark.parametrize(("line", "install"), NEEDS, ids=[line for line, _ in NEEDS])
def test_a_command_that_needs_an_extra_ends_with_the_line_that_installs_it(
    line: str, install: str, results: Results
) -> None:
    result = results[line]
    assert result["code"] == ExitCode.BAD_INPUT, result["err"]
    assert result["err"].startswith("error: ")
    assert install in result["err"]
    assert not result["out"]


@pytest.mark.parametrize("line", WORKS)
def test_every_other_command_works_without_extras(line: str, results: Results) -> None:
    assert results[line]["code"] == ExitCode.DONE, results[line]["err"]


@pytest.mark.parametrize("line", _examples())
def test_no_command_ends_in_a_traceback_or_with_the_answer_no_for_a_missing_package(
    line: str, results: Results
) -> None:
    result = results[line]
    assert result["code"] in {ExitCode.DONE, ExitCode.BAD_INPUT}, result["err"]
    assert "Traceback" not in result["err"]
    assert "No module named" not in result["err"]


def test_the_doctor_says_how_to_train_here(results: Results) -> None:
    assert TRAIN in results["doctor"]["out"]
    assert results["doctor"]["code"] == ExitCode.DONE


def test_nothing_is_published_or_left_where_an_extra_is_missing(
    runs: dict[str, str], tmp_path: Path
) -> None:
    links = link_base_install(tmp_path / "site")
    shutil.copytree(runs["root"], tmp_path / "store")
    before = sorted(tmp_path.glob("store/**/*"))
    for line, _ in NEEDS[:1] + NEEDS[4:5]:
        done = subprocess.run(
            [*base_python(), "-m", "tunixrt", *shlex.split(line)],
            cwd=tmp_path / "store",
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(links)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == ExitCode.BAD_INPUT, done.stderr
    assert sorted(tmp_path.glob("store/**/*")) == before


def test_python_m_tunixrt_is_the_same_program_under_the_same_name(tmp_path: Path) -> None:
    links = link_base_install(tmp_path / "site")
    printed = [
        subprocess.run(
            [*base_python(), "-m", module, "trace", "--help"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(links)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for module in ("tunixrt", "tunixrt.cli.main")
    ]
    assert printed[0].startswith("Usage: tunixrt trace ")
    assert printed[0] == printed[1]
