"""Promise 3: all or nothing, after kill -9 and on a full disk, with many writers at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.making.events import trace, trace_id, traces, tree
from tunixrt.log.digests import Digest
from tunixrt.log.eventlog import EventLog
from tunixrt.log.files import WriteError
from tunixrt.log.layout import Layout, init
from tunixrt.log.redaction import redacted_traces, sweep
from tunixrt.log.snapshots import take_snapshot

_ROOT = Path(__file__).parents[2]


def _start(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        # A process that is killed while it writes its coverage leaves a damaged file behind.
        env={
            **{name: value for name, value in os.environ.items() if "COVERAGE" not in name},
            "PYTHONPATH": str(_ROOT),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _run(program: str, *arguments: object) -> str:
    with _start(program, *arguments) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


# Each writer appends batches of traces that nobody else appends, one for each line that it is
# given, and prints the digest of a batch when it has been acknowledged.
_WRITER = """
import sys
from pathlib import Path
from tests.making.events import traces
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import Layout
root, writer, n_traces = Path(sys.argv[1]), *map(int, sys.argv[2:])
log = EventLog(Layout(root))
print("ready", flush=True)
for batch, _ in enumerate(sys.stdin):
    first = writer * 1_000_000 + batch * n_traces
    print(log.append(traces(*range(first, first + n_traces))), flush=True)
"""

# This one appends without an end, and kills itself after its first batch and so many thousandths of
# the function calls that its first batch took.
_DYING_WRITER = """
import itertools, sys
from pathlib import Path
from tests.making.events import traces
from tests.moments import CallLimit, before_calls
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import Layout
root, writer, n_traces, n_thousandths = Path(sys.argv[1]), *map(int, sys.argv[2:])
log = EventLog(Layout(root))
calls = CallLimit()
before_calls(calls)
for batch in itertools.count():
    first = writer * 1_000_000 + batch * n_traces
    print(log.append(traces(*range(first, first + n_traces))), flush=True)
    if calls.last is None:
        calls.last = calls.n + calls.n * n_thousandths // 1000
"""


def _check_promise(log: EventLog, acknowledged: set[Digest], n_traces: int) -> None:
    """What was acknowledged is there, every segment is a whole batch, and nothing is damaged."""
    assert list(log.verify()) == []
    segments = {ref.digest for ref in log.segments()}
    assert segments >= acknowledged
    for segment in segments:
        payloads = [event.payload for event in log.events([segment])]
        number = json.loads(payloads[0] or b"")["n"]
        assert payloads == [trace(n)[1] for n in range(number, number + n_traces)]


def test_a_writer_that_is_killed_at_any_moment_loses_nothing_that_it_acknowledged(
    tmp_path: Path,
) -> None:
    n_rounds, n_traces = 25, 50
    rng = random.Random(3)
    log = EventLog(init(tmp_path))
    acknowledged: set[Digest] = set()
    for writer in range(n_rounds):
        with _start(_DYING_WRITER, tmp_path, writer, n_traces, rng.randrange(2500)) as process:
            out, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, err
        # A line that was cut off has not been acknowledged.
        acknowledged |= {Digest(line.decode()) for line in out.split(b"\n")[:-1]}
    _check_promise(log, acknowledged, n_traces)
    assert n_rounds < len(acknowledged) < 4 * n_rounds
    # A writer dies at most once between publishing and acknowledging.
    assert len({ref.digest for ref in log.segments()} - acknowledged) <= n_rounds
    # The next writer is not held up by what the dead ones left in staging.
    assert log.append(traces(*range(999 * 10**6, 999 * 10**6 + n_traces))) is not None
    _check_promise(log, acknowledged, n_traces)


# A process of its own that forks: each child works in a store of its own and kills itself just
# before its k-th operation on files, until one lives to the end.
_KILLED_AT_EVERY_OPERATION = """
import os, signal, sys
from pathlib import Path
from tests.making.events import trace_id, traces
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import init
from tunixrt.log.redaction import redact

root, action = Path(sys.argv[1]), sys.argv[2]
OPERATIONS = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.scandir", "os.listdir"}
os.fsync = lambda descriptor: None  # processes die here, not machines

def work(log):
    if action == "append":
        log.append(traces(4, 5, 6))
    else:
        redact(log, [trace_id(2)])

def child(k):
    (root / str(k)).mkdir()
    log = EventLog(init(root / str(k)))
    log.append(traces(1, 2, 3))
    log.append(traces(2, 7))
    left = k
    def count(event="open", *_):
        nonlocal left
        if event in OPERATIONS:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    os.fsync = lambda descriptor: count()
    sys.addaudithook(count)
    work(log)
    os._exit(0)

k = 0
while True:
    pid = os.fork()
    if pid == 0:
        child(k)
    _, status = os.waitpid(pid, 0)
    k += 1
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        break
print(k)
"""


def test_an_append_that_is_killed_before_any_of_its_file_operations_is_whole_or_not_there(
    tmp_path: Path,
) -> None:
    n_stores = int(_run(_KILLED_AT_EVERY_OPERATION, tmp_path, "append"))
    assert n_stores > 20
    found = []
    for number in range(n_stores):
        log = EventLog(Layout(tmp_path / str(number)))
        assert list(log.verify()) == []
        numbers = [json.loads(event.payload or b"")["n"] for event in log.events()]
        assert numbers in ([1, 2, 3, 2, 7], [1, 2, 3, 2, 7, 4, 5, 6])
        found.append(len(numbers))
        # And the append can be made again.
        log.append(traces(4, 5, 6))
        assert list(log.verify()) == []
        assert take_snapshot(log).n_traces == 7
    assert found == sorted(found)
    assert set(found) == {5, 8}


def test_a_redaction_that_is_killed_before_any_of_its_file_operations_can_always_be_finished(
    tmp_path: Path,
) -> None:
    n_stores = int(_run(_KILLED_AT_EVERY_OPERATION, tmp_path, "redact"))
    assert n_stores > 40
    states = set()
    for number in range(n_stores):
        log = EventLog(Layout(tmp_path / str(number)))
        problems = [finding.problem for finding in log.verify()]
        # Never a null that nobody explains, and never a damaged part.
        assert all("redacted is here in plain text" in problem for problem in problems)
        states.add((bool(redacted_traces(log)), len(problems)))
        if redacted_traces(log):
            sweep(log)
            assert list(log.verify()) == []
            content = tree(log.layout.root).values()
            assert not any((trace(2)[1] or b"") in data for data in content)
    assert states == {(False, 0), (True, 2), (True, 1), (True, 0)}


_FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.making.events import trace
from tunixrt.errors import TunixrtError
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import Layout
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    EventLog(Layout(Path(sys.argv[1]))).append(trace(n, n_characters=2000) for n in range(3000))
except TunixrtError as error:
    print(int(error.exit_code), error)
"""


@pytest.mark.parametrize("limit", [0, 1000, 1_000_000, 4_150_000])
def test_a_disk_that_is_full_gets_a_sentence_and_changes_nothing(
    tmp_path: Path, limit: int
) -> None:
    log = EventLog(init(tmp_path))
    log.append(traces(1))
    before = tree(tmp_path)
    out = _run(_FULL_DISK, tmp_path, limit)
    assert out.startswith("2 ")
    assert "could not be written: File too large. Nothing was recorded" in out
    assert tree(tmp_path) == before
    assert list(log.layout.staging.iterdir()) == []
    assert list(log.verify()) == []


def _start_together(stack: contextlib.ExitStack, processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait until all are ready."""
    for process in processes:
        stack.callback(process.kill)
        stack.enter_context(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"


def _let_go(processes: list[subprocess.Popen[bytes]]) -> None:
    """Let each do the next thing, all at once."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()


_LOOKED_AT = """
import sys
from pathlib import Path
from tests.making.events import traces
from tests.moments import before_operations
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import Layout
log, reader = (EventLog(Layout(Path(sys.argv[1]))) for _ in range(2))

def look(*_):
    assert list(reader.verify()) == []
    print(sum(1 for _ in reader.events()))

before_operations(look)
log.append(traces(4, 5, 6))
look()
"""


def test_a_reader_that_looks_before_each_file_operation_of_an_append_sees_all_of_it_or_nothing(
    tmp_path: Path,
) -> None:
    EventLog(init(tmp_path)).append(traces(1, 2, 3))
    seen = [int(n_events) for n_events in _run(_LOOKED_AT, tmp_path).split()]
    assert len(seen) > 10
    assert set(seen) == {3, 6}
    assert seen == sorted(seen)


def test_a_full_disk_leaves_a_process_that_can_go_on(tmp_path: Path) -> None:
    log = EventLog(init(tmp_path))
    before = tree(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(WriteError, match="File too large") as caught:
            log.append(trace(n, n_characters=2000) for n in range(3000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.path == log.layout.staging
    assert tree(tmp_path) == before
    assert log.append(traces(1)) is not None
    assert list(log.verify()) == []


def test_eight_processes_that_append_at_once_lose_nothing_and_double_nothing(
    tmp_path: Path,
) -> None:
    n_writers, n_batches, n_traces = 8, 6, 25
    log = EventLog(init(tmp_path))
    acknowledged = set()
    n_seen = 0

    def look() -> int:
        """Check that a reader sees whole batches, and no fewer than before; return the events."""
        n_events = sum(1 for _ in log.events())
        assert n_events % n_traces == 0
        assert n_events >= n_seen
        assert list(log.verify()) == []
        return n_events

    with contextlib.ExitStack() as stack:
        writers = [_start(_WRITER, tmp_path, n, n_traces) for n in range(n_writers)]
        _start_together(stack, writers)
        for _ in range(n_batches):
            _let_go(writers)
            n_seen = look()  # while they write
            for writer in writers:
                assert writer.stdout is not None
                acknowledged.add(Digest(writer.stdout.readline().decode().strip()))
            n_seen = look()
            assert n_seen == len(acknowledged) * n_traces
        for writer in writers:
            assert writer.communicate() == (b"", b"")
            assert writer.returncode == 0
    assert len(acknowledged) == n_writers * n_batches
    assert {ref.digest for ref in log.segments()} == acknowledged
    _check_promise(log, acknowledged, n_traces)
    snapshot = take_snapshot(log)
    assert snapshot.n_traces == snapshot.n_events == n_writers * n_batches * n_traces
    assert list(log.layout.staging.iterdir()) == []


_SAME_BATCH = """
import sys
from pathlib import Path
from tests.making.events import traces
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import Layout

class Late(EventLog):
    def heads(self):
        return [], 0

print("ready", flush=True)
sys.stdin.readline()
print(Late(Layout(Path(sys.argv[1]))).append(traces(*range(2000))), flush=True)
"""


def test_processes_that_publish_the_same_segment_at_once_all_succeed(tmp_path: Path) -> None:
    log = EventLog(init(tmp_path))
    with contextlib.ExitStack() as stack:
        writers = [_start(_SAME_BATCH, tmp_path) for _ in range(4)]
        _start_together(stack, writers)
        _let_go(writers)
        found = {writer.communicate() for writer in writers}
    (segment,) = log.segments()
    assert found == {(f"{segment.digest}\n".encode(), b"")}
    assert list(log.verify()) == []


_MEMORY = """
import sys
from pathlib import Path
from tests.making.events import trace
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import init
from tunixrt.log.snapshots import save_snapshot, take_snapshot, verify_snapshots
n_traces, n_characters = map(int, sys.argv[2:])
log = EventLog(init(Path(sys.argv[1])))
log.append(trace(n, n_characters=n_characters) for n in range(n_traces))
assert sum(len(event.payload) for event in log.events()) > n_traces * n_characters
assert list(log.verify()) == []
save_snapshot(log.layout, take_snapshot(log))
assert list(verify_snapshots(log.layout)) == []
# Not getrusage: a process starts with the peak of the one that it was forked from.
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(peak.split()[1]) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_payload_bytes(tmp_path: Path) -> None:
    """Promise 10, in mebibytes of resident memory: 12 against 120 MiB of payloads."""
    used = []
    for n_traces in (60, 600):
        root = tmp_path / str(n_traces)
        root.mkdir()
        used.append(int(_run(_MEMORY, root, n_traces, 200 * 1024)))
    small, large = used
    assert large < small + 12
    assert large < 150


def test_a_trace_that_a_dead_writer_left_behind_is_named_by_nobody(tmp_path: Path) -> None:
    log = EventLog(init(tmp_path))
    left = log.layout.staging / "dead" / "staged"
    left.mkdir(parents=True)
    (left / "0000.jsonl").write_bytes(b"half a line")
    assert list(log.verify()) == []
    assert log.append(traces(1)) is not None
    assert [event.envelope.payload for event in log.events()] == [trace_id(1)]
    # On doubt nothing is deleted: it is there for whoever wants to look at it.
    assert (left / "0000.jsonl").read_bytes() == b"half a line"
