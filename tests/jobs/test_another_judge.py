"""Another judge reads the responses of a finished evaluation; another model never gets them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.jobs.test_runs import evaluations_of, training_of
from tunixrt.eval.predictions import read_predictions, write_predictions
from tunixrt.runs.directories import output_digests, read_environments, seal_run
from tunixrt.runs.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt import Store
    from tunixrt.jobs.evaluation.evaluate import EvaluationDone
    from tunixrt.log.findings import Finding
    from tunixrt.runs.manifests import EvaluationManifest

SETTINGS: dict[str, Any] = {"evalset": "sums", "max_new_tokens": 6}


def of_the_trained(store: Store) -> EvaluationManifest:
    (found,) = [m for m in evaluations_of(store) if m.model.run_id is not None]
    return found


def directory_of(store: Store, manifest: EvaluationManifest) -> Path:
    return store.layout.runs / manifest.run_id


def judged(store: Store, judge: str = "verbatim", **settings: Any) -> tuple[EvaluationDone, int]:
    """An evaluation of the trained model, and how often it reported what it had generated."""
    seen = []
    done = store.evaluate(
        training_of(store).run_id,
        judge=judge,
        on_progress=lambda n, total: seen.append(n),
        **(SETTINGS | settings),
    )
    return done, len(seen)


def forge(store: Store, manifest: EvaluationManifest, write: Callable[[Path], object]) -> None:
    """Change the predictions of a run, with every digest in order."""
    directory = directory_of(store, manifest)
    write(directory / "predictions.jsonl")
    seal_run(directory, msgspec.structs.replace(manifest, outputs=output_digests(directory)))


def test_another_judge_takes_the_responses_of_the_finished_run(copy: Store) -> None:
    exact = of_the_trained(copy)
    done, n_reports = judged(copy)
    assert (done.already_done, n_reports) == (False, 0)
    assert (done.n_generated, done.n_reused, done.responses_from) == (0, 4, exact.run_id)
    assert done.manifest.identity.judge.name == "verbatim"
    (environment,) = read_environments(copy.layout, done.manifest.run_id)
    assert environment["responses_from"] == exact.run_id
    again, _ = judged(copy)
    assert (again.already_done, again.n_generated, again.n_reused) == (True, 0, 4)
    assert copy.verify().ok


def test_the_run_has_the_bytes_that_it_would_have_had_if_all_were_generated(copy: Store) -> None:
    taken, _ = judged(copy)
    before = (directory_of(copy, taken.manifest) / "predictions.jsonl").read_bytes()
    for run in (taken.manifest, of_exact(copy)):
        shutil.rmtree(directory_of(copy, run))
    generated, n_reports = judged(copy)
    assert (n_reports, generated.n_generated, generated.responses_from) == (1, 4, None)
    assert generated.manifest == taken.manifest
    assert (directory_of(copy, generated.manifest) / "predictions.jsonl").read_bytes() == before


def of_exact(store: Store) -> EvaluationManifest:
    (found,) = [
        m
        for m in evaluations_of(store)
        if m.model.run_id is not None and m.identity.judge.name == "exact"
    ]
    return found


def test_two_models_with_one_store_get_their_own_responses(copy: Store) -> None:
    """The untrained model's responses and the trained one's are here, to the same questions."""
    (untrained,) = [m for m in evaluations_of(copy) if m.model.untrained is not None]
    texts = {}
    for model, of in (
        (training_of(copy).run_id, of_the_trained(copy)),
        (f"untrained:{copy.root / 'tiny.toml'}", untrained),
    ):
        done = copy.evaluate(model, judge="verbatim", **SETTINGS)
        assert done.responses_from == of.run_id
        texts[of.run_id] = responses(copy, done.manifest)
        assert texts[of.run_id] == responses(copy, of)
    assert len({tuple(answers) for answers in texts.values()}) == 2
    # A third model, of which nothing is here, generates all of its own.
    (copy.root / "other.toml").write_text(
        (copy.root / "tiny.toml").read_text().replace("[training]", "[training]\nseed = 1")
    )
    other = copy.evaluate(f"untrained:{copy.root / 'other.toml'}", judge="verbatim", **SETTINGS)
    assert (other.n_generated, other.responses_from) == (4, None)


def responses(store: Store, manifest: EvaluationManifest) -> list[str]:
    path = directory_of(store, manifest) / "predictions.jsonl"
    return [prediction.generated_response for prediction in read_predictions(path)]


@pytest.mark.parametrize(
    "change",
    [
        {"max_new_tokens": 7},
        {"batch_size": 3},
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
    assert (done.n_generated, done.responses_from) == (4, None)


def test_the_draws_of_a_finished_run_are_taken_in_their_order(copy: Store) -> None:
    drawn: dict[str, Any] = {"temperature": 1.0, "samples": 3}
    exact, _ = judged(copy, "exact", **drawn)
    done, _ = judged(copy, **drawn)
    assert (done.n_reused, done.responses_from) == (12, exact.manifest.run_id)
    assert responses(copy, done.manifest) == responses(copy, exact.manifest)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def other_samples(path: Path) -> None:
    first, *others = read_predictions(path)
    write_predictions(path, [msgspec.structs.replace(first, example_id="another"), *others])


DAMAGES: dict[str, tuple[Callable[[Store, EvaluationManifest], object], str]] = {
    "a flipped bit in the predictions": (
        lambda store, run: flip(directory_of(store, run) / "predictions.jsonl"),
        "does not have the digest that SHA256SUMS lists",
    ),
    "predictions that are gone": (
        lambda store, run: (directory_of(store, run) / "predictions.jsonl").unlink(),
        "does not have the digest that SHA256SUMS lists",
    ),
    "the manifest names another digest": (
        lambda store, run: (directory_of(store, run) / "manifest.json").write_bytes(
            (directory_of(store, run) / "manifest.json")
            .read_bytes()
            .replace(run.outputs["predictions.jsonl"].encode(), run.weights.encode())
        ),
        "does not have the digest that SHA256SUMS lists",
    ),
    "predictions to other samples": (
        lambda store, run: forge(store, run, other_samples),
        "are not those to the samples of sums",
    ),
    "one prediction less": (
        lambda store, run: forge(
            store, run, lambda path: write_predictions(path, read_predictions(path)[:-1])
        ),
        "are not those to the samples of sums",
    ),
    "no predictions at all": (
        lambda store, run: forge(store, run, lambda path: path.write_bytes(b"[1]\n")),
        "The predictions cannot be read",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_responses_of_a_damaged_run_are_not_used_and_that_is_said(case: str, copy: Store) -> None:
    damage, sentence = DAMAGES[case]
    exact = of_the_trained(copy)
    expected = responses(copy, exact)
    damage(copy, exact)
    findings: list[Finding] = []
    done, _ = judged(copy, on_finding=findings.append)
    assert (done.n_generated, done.responses_from) == (4, None)
    assert responses(copy, done.manifest) == expected
    (finding,) = findings
    assert sentence in str(finding)
    assert finding.path.startswith(f"runs/{exact.run_id}/")


def test_a_manifest_that_claims_the_responses_of_another_model_is_not_believed(
    copy: Store,
) -> None:
    """Somebody gives the untrained model's predictions the identity of the trained one's."""
    exact = of_the_trained(copy)
    (untrained,) = [m for m in evaluations_of(copy) if m.model.untrained is not None]
    shutil.rmtree(directory_of(copy, exact))
    claimed = msgspec.structs.replace(untrained, identity=exact.identity)
    seal_run(directory_of(copy, untrained), claimed)
    findings: list[Finding] = []
    done, _ = judged(copy, on_finding=findings.append)
    assert (done.n_generated, done.responses_from) == (4, None)
    assert "The run id, the digest of the identity" in str(findings[0])
    # Nor is a manifest that nobody can read: whose responses these are, it does not say.
    (directory_of(copy, untrained) / "manifest.json").write_bytes(b"{}")
    model = f"untrained:{copy.root / 'tiny.toml'}"
    assert copy.evaluate(model, judge="verbatim", **SETTINGS).n_generated == 4


def test_an_evaluation_that_was_interrupted_goes_on_with_another_judge(copy: Store) -> None:
    shutil.rmtree(directory_of(copy, of_the_trained(copy)))

    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StoppedError

    settings = SETTINGS | {"batch_size": 2}
    run_id = training_of(copy).run_id
    with pytest.raises(StoppedError):
        copy.evaluate(run_id, judge="exact", on_progress=stop, **settings)
    done = copy.evaluate(run_id, judge="verbatim", **settings)
    assert (done.n_generated, done.n_reused, done.responses_from) == (2, 2, None)


def test_reproducing_generates_again_whatever_finished_runs_say(copy: Store) -> None:
    """Somebody publishes better responses with every digest in order, and judges them twice."""

    def better(path: Path) -> None:
        predictions = read_predictions(path)
        write_predictions(
            path,
            [
                msgspec.structs.replace(
                    p,
                    generated_response=f"1. Add.\nAnswer: {p.expected_response}",
                    stop_reason="end_of_turn",
                )
                for p in predictions
            ],
        )

    forge(copy, of_the_trained(copy), better)
    done, _ = judged(copy)
    assert done.responses_from is not None
    assert done.manifest.results.n_correct == 4
    assert copy.verify().ok
    seen: list[int | None] = []
    for run_id in (done.manifest.run_id, done.responses_from):
        (verdict,) = copy.reproduce(run_id, on_progress=lambda n, total: seen.append(n))
        assert verdict.verdict is Verdict.DIVERGED
    assert seen == [4, 4]
