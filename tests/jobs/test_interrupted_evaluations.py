"""An evaluation that is interrupted goes on where it was, and is the one it would have been."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.trainings import SMALL_MODEL
from tests.moments import KILL, WAIT, Moment, Rendezvous, program, rendezvous
from tunixrt import Store
from tunixrt.derive import Watch, WorkHeldError, work_directory
from tunixrt.errors import BadInputError, ExitCode
from tunixrt.eval.evaluation import Generated
from tunixrt.jobs.evaluation.journal import DamagedJournalError, ResponseJournal
from tunixrt.log.files import staging_directory
from tunixrt.runs.config_sources import load_config
from tunixrt.runs.manifests import kind_of
from tunixrt.store import held_out_evalset

if TYPE_CHECKING:
    from tunixrt.jobs.evaluation.evaluate import EvaluationDone

    Popen = subprocess.Popen[str]

N_SAMPLES = 32
NAME = "ab" * 32


class Stopped(Exception):  # noqa: N818
    """What a test stops an evaluation with."""


@pytest.fixture(scope="module")
def questions() -> bytes:
    return held_out_evalset(kinds=["addition", "subtraction"], n_digits=2, n=N_SAMPLES, seed=0)


@pytest.fixture
def store(tmp_path: Path, questions: bytes) -> Store:
    return made(tmp_path / "store", questions)


def made(root: Path, questions: bytes) -> Store:
    store = Store.init(root)
    (root / "evalsets" / "sums.jsonl").write_bytes(questions)
    few = b"".join(questions.splitlines(keepends=True)[:12])
    (root / "evalsets" / "few.jsonl").write_bytes(few)
    for seed in (0, 1):
        (root / f"tiny{seed}.toml").write_text(f"{SMALL_MODEL}[training]\nseed = {seed}\n")
    return store


def evaluate(
    store: Store, seed: int = 0, evalset: str = "few", **settings: object
) -> EvaluationDone:
    chosen: dict[str, Any] = {"max_new_tokens": 12, "batch_size": 4} | settings
    return store.runs.evaluate(
        f"untrained:{store.root / f'tiny{seed}.toml'}",
        evalset=evalset,
        **chosen,
    )


def stop_after(n: int) -> Watch:
    def on_progress(done: int, *_: object) -> None:
        if done >= n:
            raise Stopped

    return Watch(on_progress=on_progress)


def journal_of(store: Store) -> Path:
    (path,) = (store.layout.derived / "work/responses").glob("*/journal.jsonl")
    return path


def predictions_digest(done: EvaluationDone) -> str:
    return done.manifest.outputs["predictions.jsonl"]


def test_what_is_recorded_is_not_generated_again(
    store: Store, tmp_path: Path, questions: bytes
) -> None:
    with pytest.raises(Stopped):
        evaluate(store, watch=stop_after(8))
    responses_id = journal_of(store).parent.name
    with pytest.raises(BadInputError, match=r"only interrupted work of the responses is here"):
        store.runs[responses_id[:8]]
    seen: list[tuple[int, int]] = []
    done = evaluate(store, watch=Watch(on_progress=lambda n, total, _: seen.append((n, total))))
    assert seen == [(8, 12), (12, 12)]
    assert done.manifest.responses.run_id == responses_id
    assert (done.n_reused, done.n_generated) == (8, 4)
    assert not journal_of_any(store)
    assert predictions_digest(done) == predictions_digest(evaluate(made(tmp_path / "b", questions)))
    assert evaluate(store).already_done


def test_a_model_that_cannot_be_read_leaves_nothing_behind(store: Store, tmp_path: Path) -> None:
    from tunixrt.ml.environment import set_flags

    set_flags("portable")  # before anything imports jax
    from tunixrt.ml.training import initial_model

    with staging_directory(store.layout) as staged:
        initial_model(load_config(str(store.root / "tiny0.toml")), staged)
        shutil.copytree(staged / "model", tmp_path / "model")
    weights = (tmp_path / "model" / "model.safetensors").read_bytes()
    (tmp_path / "model" / "model.safetensors").write_bytes(weights[:-1])
    for limit in (None, 4):
        with pytest.raises(BadInputError, match=r"is not a safetensors file"):
            store.runs.evaluate(str(tmp_path / "model"), evalset="few", max_new_tokens=limit)
        assert journal_of_any(store) == []
        assert list(store.layout.runs.glob("*")) == []


def journal_of_any(store: Store) -> list[Path]:
    return list((store.layout.derived / "work/responses").glob("*"))


def test_draws_go_on_in_the_middle_of_a_sample(
    store: Store, tmp_path: Path, questions: bytes
) -> None:
    drawn: dict[str, Any] = {"temperature": 1.0, "draws": 3}
    with pytest.raises(Stopped):
        evaluate(store, watch=stop_after(16), **drawn)
    done = evaluate(store, **drawn)
    whole = evaluate(made(tmp_path / "b", questions), **drawn)
    assert predictions_digest(done) == predictions_digest(whole)


def test_two_models_with_one_cache_directory_are_not_mixed_up(
    store: Store, tmp_path: Path, questions: bytes
) -> None:
    for seed in (0, 1):
        with pytest.raises(Stopped):
            evaluate(store, seed, watch=stop_after(4), temperature=1.0)
    assert len(journal_of_any(store)) == 2
    alone = [
        evaluate(made(tmp_path / f"{seed}", questions), seed, temperature=1.0) for seed in (0, 1)
    ]
    here = [evaluate(store, seed, temperature=1.0) for seed in (0, 1)]
    assert [d.manifest.run_id for d in here] == [d.manifest.run_id for d in alone]
    assert [predictions_digest(d) for d in here] == [predictions_digest(d) for d in alone]
    assert len({predictions_digest(d) for d in here}) == 2


def test_the_responses_of_another_model_are_never_served(store: Store) -> None:
    for seed in (0, 1):
        with pytest.raises(Stopped):
            evaluate(store, seed, watch=stop_after(4))
    one, other = (path / "journal.jsonl" for path in journal_of_any(store))
    one.write_bytes(other.read_bytes())
    done = {}
    for seed in (0, 1):
        with contextlib.suppress(DamagedJournalError):
            done[seed] = evaluate(store, seed).manifest.responses.run_id
    # The model whose journal was left alone is evaluated, the other one is not.
    assert list(done.values()) == [other.parent.name]
    with pytest.raises(DamagedJournalError, match=r"belongs to another evaluation") as caught:
        evaluate(store, 1 - next(iter(done)))
    assert (caught.value.path, caught.value.line) == (one, 1)


A, B, C = (Generated(f"{text} é\n", 3, "end_of_turn") for text in "abc")


def left(store: Store, responses_id: str = NAME) -> Path:
    """A journal of three batches, of a process that died."""
    directory = work_directory(store.layout, "responses", responses_id)
    directory.mkdir(parents=True)
    journal = ResponseJournal(directory, responses_id)
    for batch in ([A], [B], [C]):
        journal.append(batch)
    return directory / "journal.jsonl"


def test_a_journal_gives_back_what_was_put_in(store: Store) -> None:
    path = left(store)
    assert ResponseJournal(path.parent, NAME).responses == [A, B, C]


def test_the_last_line_may_be_torn_anywhere(store: Store) -> None:
    whole = left(store).read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for n in range(1, len(last)):
        path = left(store, f"{n:064x}")
        assert len(path.read_bytes()) == len(whole)
        path.write_bytes(path.read_bytes()[:-n])
        journal = ResponseJournal(path.parent, f"{n:064x}")
        assert journal.responses == [A, B]
        journal.append([C])
        assert path.read_bytes().count(b"\n") == 3


def test_damage_anywhere_else_is_found_and_located(store: Store) -> None:
    path = left(store)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    damaged = {
        "a flipped bit in every byte but the last": None,
        "a line that is lost": (lines[0] + lines[2], 2),
        "a line that is there twice": (lines[0] + lines[0] + lines[1], 2),
        "lines in another order": (lines[1] + lines[0] + lines[2], 1),
        "a blank line": (lines[0] + b"\n" + lines[1], 2),
        "no text": (b"\xff\xfe\n", 1),
    }
    for changed in damaged.values():
        if changed is not None:
            path.write_bytes(changed[0])
            assert damage(store) == changed[1]
    for at in range(0, len(data) - 1, 3):
        if data[at : at + 1] != b"\n":
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            assert damage(store) == data[:at].count(b"\n") + 1
    path.write_bytes(data)
    assert ResponseJournal(path.parent, NAME).responses == [A, B, C]


def damage(store: Store) -> int:
    directory = work_directory(store.layout, "responses", NAME)
    with pytest.raises(DamagedJournalError, match=r"run the command again") as caught:
        ResponseJournal(directory, NAME)
    return caught.value.line


def command(store: Store, moment: Moment, action: str, place: Rendezvous | None = None) -> Popen:
    """Start the evaluation that `evaluate` asks for; it comes as far as a moment."""
    model = ("eval", "untrained:tiny0.toml", "--evalset", "sums")
    settings = ("--max-new-tokens", "12", "--batch-size", "4")
    return subprocess.Popen(
        program(moment, action, "tunixrt.cli.main", *model, *settings, place=place),
        cwd=store.root,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def n_lines(store: Store) -> int:
    return sum(
        path.read_bytes().count(b"\n")
        for path in (store.layout.derived / "work/responses").glob("*/journal.jsonl")
    )


def kill(store: Store, moment: Moment) -> None:
    """Kill the evaluation at a moment."""
    with command(store, moment, KILL) as process:
        _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, (moment, err)


@pytest.mark.slow
def test_a_second_process_waits_for_nothing_and_ctrl_c_says_how_to_go_on(
    store: Store, tmp_path: Path
) -> None:
    # Its third batch is written, and not counted yet.
    moment = Moment("fsync", "journal.jsonl", 3)
    with (
        rendezvous(tmp_path / "fifo") as place,
        command(store, moment, WAIT, place) as process,
    ):
        assert place.arrived(1, process) == [process.pid]
        with pytest.raises(WorkHeldError, match=r"is making the responses") as caught:
            evaluate(store, evalset="sums")
        assert caught.value.exit_code == ExitCode.STORE_LOCKED
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED
    assert out == ""
    assert f"8 of {N_SAMPLES} responses are kept: the same command continues from them." in err
    assert "Traceback" not in err
    assert n_lines(store) == 3
    seen: list[int] = []
    done = evaluate(store, evalset="sums", watch=Watch(on_progress=lambda n, *_: seen.append(n)))
    assert seen == list(range(12, N_SAMPLES + 1, 4))
    assert not done.already_done


#: When an evaluation is killed, and how many batches it leaves behind that it did not find.
KILLS = (
    (Moment("mkdir", "work/responses", 1), 0),
    (Moment("open", "journal.jsonl", 1), 0),
    (Moment("fsync", "journal.jsonl", 1), 1),
    (Moment("open", "journal.jsonl", 1), 0),
    (Moment("open", "journal.jsonl", 2), 1),
    (Moment("fsync", "journal.jsonl", 3), 3),
    (Moment("open", "responses.jsonl", 1), N_SAMPLES // 4 - 5),
    (Moment("rename", "/runs/", 1), 0),
)

#: The same when nothing is left to generate: the responses are published, and the journal is gone.
LATE_KILLS = (
    Moment("mkdir", "work/evaluation", 1),
    Moment("open", "predictions.jsonl", 1),
    Moment("rename", "/runs/", 1),
)


@pytest.mark.slow
def test_an_evaluation_that_is_killed_at_every_kind_of_moment_is_the_one_that_was_left_alone(
    store: Store, tmp_path: Path, questions: bytes
) -> None:
    n = 0
    for moment, n_more in KILLS:
        kill(store, moment)
        n += n_more
        assert n_lines(store) == n, moment
    assert 4 * n == N_SAMPLES
    assert [run.manifest for run in store.runs] == []
    for moment in LATE_KILLS:
        kill(store, moment)
        assert [kind_of(run) for run in [run.manifest for run in store.runs]] == ["responses"], (
            moment
        )
        assert n_lines(store) == 0, moment
    seen: list[int] = []
    done = evaluate(store, evalset="sums", watch=Watch(on_progress=lambda n, *_: seen.append(n)))
    assert seen == []
    assert (done.n_reused, done.n_generated) == (N_SAMPLES, 0)
    alone = evaluate(made(tmp_path / "b", questions), evalset="sums")
    assert done.manifest.run_id == alone.manifest.run_id
    assert predictions_digest(done) == predictions_digest(alone)
    assert store.verify().ok
