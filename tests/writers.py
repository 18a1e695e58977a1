"""Every command that writes to a store, as something that a test can interrupt in any place."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from tests.making.runs import made_store, made_training
from tunixrt import Store
from tunixrt.cli.main import run as run_command_line
from tunixrt.errors import TunixrtError
from tunixrt.log.journal import journals, read_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Writer = Callable[[Path, int], int]

N_TRACES = 60


def begin_store(root: Path) -> None:
    """A store that every writer here finds something to do in."""
    root.mkdir()
    store = made_store(root, n=N_TRACES)
    made_training(store)
    store.traces.add(value("recorded after the last snapshot"))


def value(text: str) -> dict[str, object]:
    """A small trace as a plain value."""
    steps = [{"i": 0, "type": "compute", "content": f"look at {text}"}]
    return {"trace_version": "1.0", "prompt": text, "steps": steps, "final_answer": "1"}


def _command(root: Path, *arguments: str) -> int:
    """Run the command line as a person would; what it prints at the end is the acknowledgement."""
    sys.argv = ["tunixrt", *arguments, "--store", str(root), "--json"]
    code = run_command_line()
    sys.stdout.flush()
    return code


def _id(root: Path, n: int) -> str:
    with Store.open(root).traces.projection() as projection:
        active = [state.id for state in projection.active()]
    return active[n % len(active)].removeprefix("sha256:")


def _import(root: Path, n: int) -> int:
    path = root.with_name(f"import-{n}.jsonl")
    if not path.exists():
        rows = [value(f"imported {n} {i}") for i in range(20)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return _command(root, "trace", "import", str(path), "--from", "tunixrt")


def _add(root: Path, n: int) -> int:
    step = ("--step", "compute", "think")
    return _command(root, "trace", "add", "--prompt", f"added {n}", *step, "--answer", "1")


def _supersede(root: Path, n: int) -> int:
    return _command(root, "trace", "supersede", _id(root, n), "--by", _id(root, n + 1))


def _stream(root: Path, n: int) -> int:
    """A program that records one trace at a time; each line it prints acknowledges one."""
    with Store.open(root).traces.stream(max_events=4) as stream:
        for i in range(10):
            print(stream.add(value(f"streamed {n} {i}")).id, flush=True)
    return 0


def _publish(root: Path, n: int) -> int:
    print(json.dumps({"run_id": made_training(Store.open(root), seed=n + 1).run_id}), flush=True)
    return 0


def _promote(root: Path, n: int) -> int:
    run = next(iter(Store.open(root).runs)).id
    return _command(root, "run", "promote", run, "--as", f"name-{n}")


WRITERS: dict[str, Writer] = {
    "trace import": _import,
    "trace add": _add,
    "trace score": lambda root, n: _command(root, "trace", "score", _id(root, n)),
    "trace label": lambda root, n: _command(root, "trace", "label", _id(root, n), f"round={n}"),
    "trace supersede": _supersede,
    "trace retract": lambda root, n: _command(
        root, "trace", "retract", _id(root, n), "--reason", "wrong"
    ),
    "trace redact": lambda root, n: _command(
        root, "trace", "redact", _id(root, n), "--reason", "asked for"
    ),
    "trace perturb": lambda root, n: _command(
        root, "trace", "perturb", _id(root, n), "--kind", "digit", "--seed", str(n)
    ),
    "snapshot create": lambda root, n: _command(root, "snapshot", "create"),
    "dataset build": lambda root, n: _command(
        root, "dataset", "build", f"d{n}", "v1", "--limit", "7"
    ),
    "dataset deprecate": lambda root, n: _command(
        root, "dataset", "deprecate", "sums-v1", "--reason", f"reason {n}"
    ),
    "stream": _stream,
    "run publication": _publish,
    "run promote": _promote,
}


def acknowledged(name: str, out: bytes) -> bool:
    """Whether the output of a writer says that all of its work is done."""
    if name == "stream":
        return False  # its lines acknowledge traces, and the kills look at each
    try:
        json.loads(out)
    except ValueError:
        return False
    return True


def content(root: Path) -> dict[str, bytes]:
    """Every file that Git would see, by its path."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not {".tmp", ".tunixrt"} & set(path.relative_to(root).parts)
    }


def unit(path: str) -> str:
    """What a file appears together with: its segment, its dataset, its run, or itself alone."""
    parts = path.split("/")
    lengths = {"store/log": 4, "store/datasets": 5, "runs": 2}
    if "environments" in parts:
        return path
    length = lengths.get("/".join(parts[:2]), lengths.get(parts[0], len(parts)))
    return "/".join(parts[:length])


def broken_rule(
    name: str, root: Path, before: dict[str, bytes], wanted: dict[str, bytes], *, done: bool
) -> str | None:
    """What is wrong with the store that an interrupted writer has left, in a sentence; or None.

    Args:
        name: The writer.
        root: What it left. A redaction that is half done is finished there, as `--sweep` does it.
        before: What was there before.
        wanted: What is there when it comes to its end.
        done: Whether it had printed its result.
    """
    after = content(root)
    if done and after != wanted:
        return f"{name}: acknowledged, and not there"
    for path in before.keys() | after.keys():
        # A part may be redacted already or not yet; nothing else has two versions.
        if after.get(path) not in (before.get(path), wanted.get(path)):
            return f"{name}: {path} is neither old nor new"
    for whole in {unit(path) for path in after.keys() - before.keys()}:
        if not {path for path in wanted if unit(path) == whole} <= after.keys():
            return f"{name}: {whole} is there in part"
    try:
        return _broken_content(name, root, wanted)
    except TunixrtError as error:
        return f"{name}: {error}"


def _broken_content(name: str, root: Path, wanted: dict[str, bytes]) -> str | None:
    store = Store.open(root)
    problems = [finding.problem for finding in store.verify().findings]
    if name == "trace redact" and problems:
        if not all("redacted is here in plain text" in problem for problem in problems):
            return f"{name}: {problems}"
        store.traces.sweep()
        if content(root) != wanted:
            return f"{name}: a sweep does not finish it"
        problems = [finding.problem for finding in store.verify().findings]
    return f"{name}: {problems}" if problems else None


def lost_traces(root: Path, acknowledged_ids: Iterable[str]) -> set[str]:
    """The traces that are neither in the log nor in the journal of a stream."""
    store = Store.open(root)
    known = {event.envelope.payload for event in store.log.events()}
    for journal in journals(store.layout):
        known |= {envelope.payload for envelope, _ in read_journal(journal)}
    return set(acknowledged_ids) - known
