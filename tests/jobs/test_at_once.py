"""Promise 3, of processes that write at once: nothing is lost, doubled, or seen by half."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.writers import value
from tunixrt import Store
from tunixrt.traces.importers.table import imported
from tunixrt.traces.schema import trace_of

if TYPE_CHECKING:
    from tunixrt.log.digests import Digest

_GO = "print('ready', flush=True); sys.stdin.readline()\n"

# These two do a third of their work per line on stdin, and print a line when it is done.
_IMPORT = (
    "import sys; from tunixrt import Store\nstore = Store.open(sys.argv[1])\n"
    "print('ready', flush=True)\n"
    "for path, _ in zip(sys.argv[2:], sys.stdin):\n"
    "    store.traces.import_(path, source_format='tunixrt')\n"
    "    print('done', flush=True)\n"
)

_ADD = (
    "import sys; from tests.writers import value; from tunixrt import Store\n"
    "store = Store.open(sys.argv[1])\n"
    "print('ready', flush=True)\n"
    "for n, _ in zip(range(3), sys.stdin):\n"
    "    for text in sys.argv[2:][4 * n :][:4]:\n        store.traces.add(value(text))\n"
    "    print('done', flush=True)\n"
)

_BUILD = (
    "import sys; from tunixrt import Store\n"
    "from tunixrt.datasets.building import DatasetExistsError\n"
    "store = Store.open(sys.argv[1])\n"
    + _GO
    + "try:\n    print(store.datasets.build('d', 'v1', limit=int(sys.argv[2])).digest)\n"
    "except DatasetExistsError as error:\n    print(error.existing[0])\n"
)


def _start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for(said: str, processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == said


def _get_ready(stack: contextlib.ExitStack, processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        stack.callback(process.kill)
        stack.enter_context(process)
    _wait_for("ready\n", processes)


def _let_go(processes: list[subprocess.Popen[str]]) -> None:
    """Let all of them start at once."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def _id(text: str) -> Digest:
    return imported(trace_of(value(text))).id


def test_eight_processes_that_import_and_add_at_once_and_a_reader_of_whole_batches(
    tmp_path: Path,
) -> None:
    store = Store.init(tmp_path / "home")
    batches = [[f"batch {number} trace {i}" for i in range(60)] for number in range(12)]
    paths = [tmp_path / f"{number}.jsonl" for number in range(12)]
    for path, batch in zip(paths, batches, strict=True):
        path.write_text("".join(json.dumps(value(text)) + "\n" for text in batch))
    alone = [f"alone {number}" for number in range(24)]
    whole = [{_id(text) for text in batch} for batch in batches]
    expected = set().union(*whole) | {_id(text) for text in alone}
    n_seen = 0

    def look() -> int:
        """Check that a reader sees whole imports, and no fewer traces than before; return n."""
        with store.traces.projection() as projection:
            seen = {state.id for state in projection.active()}
        for ids in whole:
            assert ids <= seen or not ids & seen, "a reader saw a part of an import"
        assert len(seen) >= n_seen
        return len(seen)

    with contextlib.ExitStack() as stack:
        # Some import the same files, and some add the same traces, at the same time.
        importers = [_start(_IMPORT, store.root, *paths[3 * (n % 4) :][:3]) for n in range(5)]
        adders = [_start(_ADD, store.root, *alone[8 * n :][:12]) for n in range(3)]
        writers = [*importers, *adders]
        _get_ready(stack, writers)
        for _ in range(3):
            _let_go(writers)
            n_seen = look()  # while they write
            _wait_for("done\n", writers)
            n_seen = look()
        for process in writers:
            assert process.communicate() == ("", "")
            assert process.returncode == 0
    assert n_seen == len(expected)
    with store.traces.projection() as projection:
        listed = Counter(state.id for state in projection.traces())
    assert listed == Counter(dict.fromkeys(expected, 1))
    assert store.datasets.build("all", "v1").trace_count == len(expected)
    assert store.verify(rebuild=True).ok
    assert store.status().leftovers == []


def test_of_builds_of_one_key_at_once_one_wins_and_the_others_are_told(tmp_path: Path) -> None:
    store = Store.init(tmp_path)
    store.traces.generate_arithmetic(kinds=["addition"], n_digits=2, n=20, seed=0)
    with contextlib.ExitStack() as stack:
        builders = [_start(_BUILD, store.root, n) for n in range(1, 7)]
        _get_ready(stack, builders)
        _let_go(builders)
        printed = {builder.communicate() for builder in builders}
    ((digest, complaint),) = printed
    assert (digest.strip(), complaint) == (store.datasets["d-v1"].digest, "")
    assert store.status().ambiguous_datasets == {}
    assert store.verify().ok
