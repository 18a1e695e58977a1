"""Another judge is another judgement of the same responses; another model never gets them."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.making.runs import reseal
from tests.making.trainings import evaluations_of, of_trained, of_untrained, training_of
from tunixrt.derive import Answer, Watch
from tunixrt.eval.judge.math_verify import UndecidedError
from tunixrt.jobs.evaluation.judgement import OtherResponsesError
from tunixrt.log.digests import digest_file
from tunixrt.log.findings import DamagedError
from tunixrt.runs.lines import Response, encode_lines
from tunixrt.runs.manifests import ManifestError
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt import Store
    from tunixrt.jobs.evaluation.evaluate import EvaluationDone
    from tunixrt.runs.manifests import EvaluationManifest

SETTINGS: dict[str, Any] = {"evalset": "sums", "max_new_tokens": 6}


def judged(store: Store, judge: str = "verbatim", **settings: Any) -> tuple[EvaluationDone, int]:
    """An evaluation of the trained model, and how often it reported what it had generated."""
    seen = []
    done = store.runs.evaluate(
        training_of(store).run_id,
        judge=judge,
        watch=Watch(on_progress=lambda n, *_: seen.append(n)),
        **(SETTINGS | settings),
    )
    return done, len(seen)


def answered(store: Store, manifest: EvaluationManifest) -> Run:
    """The responses of an evaluation."""
    return Run.of(store.layout, manifest.responses.run_id)


def texts(store: Store, manifest: EvaluationManifest) -> list[str]:
    return [p.generated_response for p in Run.of(store.layout, manifest.run_id).predictions()]


def forge(
    store: Store, manifest: EvaluationManifest, change: Callable[[list[Response]], list[Response]]
) -> None:
    """Change the responses of an evaluation, with every digest in order."""
    run = answered(store, manifest)
    changed = change(list(run.responses()))
    (run.directory / "responses.jsonl").write_bytes(encode_lines(changed))
    reseal(store, run.manifest)


def test_another_judge_reads_the_same_responses(copy: Store) -> None:
    exact = of_trained(copy)
    done, n_reports = judged(copy)
    assert (done.already_done, n_reports) == (False, 0)
    assert (done.n_generated, done.n_reused) == (0, 4)
    assert done.manifest.identity.judge.name == "verbatim"
    assert done.manifest.responses == exact.responses
    assert texts(copy, done.manifest) == texts(copy, exact)
    again, _ = judged(copy)
    assert (again.already_done, again.n_generated, again.n_reused) == (True, 0, 4)
    assert copy.verify(rebuild=True).ok


def test_a_function_judges_the_same_responses_and_reproduces(copy: Store) -> None:
    (copy.root / "my_judges.py").write_text(
        "def length(expected, response, sample):\n"
        "    score = min(len(response), 100)\n"
        "    return {'correct': score > 50, 'reason': sample['id'], 'score': score}\n"
    )
    done, n_reports = judged(copy, "my_judges:length")
    assert (done.n_generated, n_reports) == (0, 0)
    judge = done.manifest.identity.judge
    assert (judge.name, judge.version) == ("my_judges:length", None)
    assert judge.source == digest_file(copy.root / "my_judges.py")
    predictions = list(Run.of(copy.layout, done.run_id).predictions())
    assert [p.score for p in predictions] == [
        float(min(len(p.generated_response), 100)) for p in predictions
    ]
    assert [v.verdict for v in copy.reproduce(done.run_id)] == [Answer.IDENTICAL] * 2
    (copy.root / "my_judges.py").unlink()
    assert [v.verdict for v in copy.reproduce(done.run_id)] == [
        Answer.IDENTICAL,
        Answer.NOT_REPRODUCIBLE,
    ]


def test_a_comparison_that_does_not_end_publishes_nothing_and_is_not_a_divergence(
    copy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    math_verify = pytest.importorskip("math_verify")

    def never_ends(*_: object, **__: object) -> bool:
        signal.raise_signal(signal.SIGALRM)
        return True

    ended = {"text": "#### 7", "stop_reason": "end_of_turn"}
    forge(copy, of_trained(copy), lambda lines: [replace(line, **ended) for line in lines])
    with monkeypatch.context() as stuck:
        stuck.setattr(math_verify, "verify", never_ends)
        with pytest.raises(UndecidedError, match="nothing was published"):
            judged(copy, "math-verify")
    done, _ = judged(copy, "math-verify")
    assert (done.already_done, done.n_generated) == (False, 0)
    monkeypatch.setattr(math_verify, "verify", never_ends)
    verdicts = {verdict.id: verdict for verdict in copy.verify(rebuild=True).rebuilt}
    assert verdicts[done.run_id].verdict is Answer.NOT_REPRODUCIBLE
    assert "did not decide within" in verdicts[done.run_id].reasons[0]


def test_the_run_has_the_bytes_that_it_would_have_had_if_all_were_generated(copy: Store) -> None:
    found, _ = judged(copy)
    before = (copy.layout.runs / found.manifest.run_id / "predictions.jsonl").read_bytes()
    for run_id in (found.manifest.run_id, found.manifest.responses.run_id):
        shutil.rmtree(copy.layout.runs / run_id)
    generated, n_reports = judged(copy)
    assert (n_reports, generated.n_generated) == (1, 4)
    assert generated.manifest == found.manifest
    after = copy.layout.runs / generated.manifest.run_id / "predictions.jsonl"
    assert after.read_bytes() == before


def test_two_models_with_one_store_get_their_own_responses(copy: Store) -> None:
    """The untrained model's responses and the trained one's are here, to the same questions."""
    found = {}
    for model, of in (
        (training_of(copy).run_id, of_trained(copy)),
        (f"untrained:{copy.root / 'tiny.toml'}", of_untrained(copy)),
    ):
        done = copy.runs.evaluate(model, judge="verbatim", **SETTINGS)
        assert done.n_generated == 0
        found[of.run_id] = texts(copy, done.manifest)
        assert found[of.run_id] == texts(copy, of)
    assert len({tuple(answers) for answers in found.values()}) == 2
    # A third model, of which nothing is here, generates all of its own.
    (copy.root / "other.toml").write_text(
        (copy.root / "tiny.toml").read_text().replace("[training]", "[training]\nseed = 1")
    )
    other = copy.runs.evaluate(
        f"untrained:{copy.root / 'other.toml'}", judge="verbatim", **SETTINGS
    )
    assert other.n_generated == 4


@pytest.mark.parametrize(
    "change",
    [
        {"max_new_tokens": 5},
        {"batch_size": 2},
        {"temperature": 1.0},
        {"evalset": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_generate_responses_of_their_own(
    change: dict[str, Any], copy: Store
) -> None:
    questions = (copy.layout.evalsets / "sums.jsonl").read_bytes().splitlines(keepends=True)
    (copy.layout.evalsets / "other.jsonl").write_bytes(b"".join(reversed(questions)))
    done, _ = judged(copy, **change)
    assert done.n_generated == 4


def test_draws_are_judged_in_their_order(copy: Store) -> None:
    drawn: dict[str, Any] = {"temperature": 1.0, "draws": 3}
    exact, _ = judged(copy, "exact", **drawn)
    done, _ = judged(copy, **drawn)
    assert (done.n_generated, done.n_reused) == (0, 12)
    assert texts(copy, done.manifest) == texts(copy, exact.manifest)


@pytest.mark.parametrize("name", ["responses.jsonl", "manifest.json", "SHA256SUMS"])
def test_damaged_responses_are_named_and_not_judged(name: str, copy: Store) -> None:
    run = answered(copy, of_trained(copy))
    path = run.directory / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    before = len(evaluations_of(copy)) if name == "responses.jsonl" else None
    with pytest.raises((DamagedError, ManifestError), match=f"runs/{run.id}/"):
        judged(copy)
    if before is not None:
        assert len(evaluations_of(copy)) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [msgspec.structs.replace(lines[0], example_id="another"), *lines[1:]],
        lambda lines: lines[:-1],
        lambda lines: lines[::-1],
    ],
    ids=["to another sample", "one less", "in another order"],
)
def test_responses_to_other_samples_are_never_judged(
    change: Callable[[list[Response]], list[Response]], copy: Store
) -> None:
    exact = of_trained(copy)
    forge(copy, exact, change)
    with pytest.raises(OtherResponsesError, match="to the samples of sums"):
        judged(copy)
    assert copy.verify().ok
    (finding,) = copy.verify(rebuild=True).findings
    assert finding.path.startswith(f"runs/{exact.run_id}/")
    assert "does not contain the responses" in finding.problem


def test_an_evaluation_that_was_interrupted_continues_with_another_judge(copy: Store) -> None:
    shutil.rmtree(copy.layout.runs / of_trained(copy).responses.run_id)

    class StoppedError(Exception):
        pass

    def stop(*_: object) -> None:
        raise StoppedError

    settings = SETTINGS | {"batch_size": 2}
    run_id = training_of(copy).run_id
    with pytest.raises(StoppedError):
        copy.runs.evaluate(run_id, judge="exact", watch=Watch(on_progress=stop), **settings)
    done = copy.runs.evaluate(run_id, judge="verbatim", **settings)
    assert (done.n_generated, done.n_reused) == (2, 2)


def test_reproducing_generates_again_whatever_is_published(copy: Store) -> None:
    """A forger publishes better responses with every digest in order, and judges them."""
    questions = {s.id: s.expected_answer for s in copy.evalsets["sums"].samples}

    def better(lines: list[Response]) -> list[Response]:
        return [
            Response(r.example_id, f"1. Add.\nAnswer: {questions[r.example_id]}", 9, "end_of_turn")
            for r in lines
        ]

    forge(copy, of_trained(copy), better)
    done, _ = judged(copy)
    assert done.manifest.results.n_correct == 4
    assert copy.verify().ok
    # What was judged before does not follow from these responses.
    assert [f.path.split("/")[1] for f in copy.verify(rebuild=True).findings] == [
        of_exact(copy).run_id
    ]
    responses, evaluation = copy.reproduce(done.manifest.run_id)
    assert responses.verdict is evaluation.verdict is Answer.DIVERGED


def of_exact(store: Store) -> EvaluationManifest:
    (found,) = [
        m
        for m in evaluations_of(store)
        if m.responses.untrained is None and m.identity.judge.name == "exact"
    ]
    return found
