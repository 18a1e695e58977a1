"""From a dataset to a model and its evaluation, and the same again."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.making.runs import reseal
from tests.making.trainings import (
    SMALL_MODEL,
    TINY,
    evaluations_of,
    make_store,
    of_trained,
    of_untrained,
    training_of,
)
from tunixrt.derive import Answer, Execution, Watch
from tunixrt.errors import BadInputError
from tunixrt.jobs.evaluation.target import untrained_model
from tunixrt.jobs.models import model_digests
from tunixrt.log.digests import digest_file
from tunixrt.log.redaction import redact
from tunixrt.log.sums import output_digests
from tunixrt.runs.config_sources import load_config
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store


def test_every_file_of_a_run_is_named_by_its_manifest(copy: Store) -> None:
    manifest = training_of(copy)
    directory = copy.layout.runs / manifest.run_id
    assert set(manifest.outputs) == {
        "ledger.jsonl",
        "metrics.jsonl",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "model/tokenizer_config.json",
    }
    assert manifest.weights == digest_file(directory / "model/model.safetensors")
    assert copy.verify(rebuild=True).findings == []


def test_the_ledger_accounts_for_every_member(copy: Store) -> None:
    manifest = training_of(copy)
    lines = (copy.layout.runs / manifest.run_id / "ledger.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    members = [m.trace for m in copy.datasets["sums-v1"].members() if m.split == "train"]
    assert [entry["trace"] for entry in entries] == members
    ledger = manifest.ledger
    assert (ledger.n_records, ledger.n_kept) == (len(members), len(members))
    assert (ledger.n_dropped, ledger.n_truncated, ledger.n_redacted) == (0, 0, 0)
    assert ledger.n_loss_tokens == sum(entry["n_loss_tokens"] for entry in entries)
    assert 0 < ledger.n_loss_tokens < ledger.n_tokens


def test_running_the_same_again_finds_it_done(copy: Store) -> None:
    config = str(copy.root / "tiny.toml")
    run_id = training_of(copy).run_id
    again = copy.runs.train(config, dataset="sums-v1")
    assert again.already_done
    assert again.manifest.run_id == run_id
    logged = copy.runs.train(config, dataset="sums-v1", overrides=["training.logging_steps=1"])
    assert logged.already_done
    evaluated = copy.runs.evaluate(run_id[:8], evalset="sums", max_new_tokens=6)
    assert evaluated.already_done


def test_a_run_named_by_the_path_of_its_model_is_that_run(
    copy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = training_of(copy).run_id
    monkeypatch.chdir(copy.root)
    path = f"runs/{run_id}/model"
    assert copy.runs.evaluate(path, evalset="sums", max_new_tokens=6).already_done
    for settings in ({"max_new_tokens": 5}, {"max_new_tokens": 5, "judge": "verbatim"}):
        by_path = copy.runs.evaluate(path, evalset="sums", **settings)
        by_id = copy.runs.evaluate(run_id, evalset="sums", **settings)
        assert (by_id.manifest, by_id.already_done) == (by_path.manifest, True)
    config = str(copy.root / "tiny.toml")
    tuned = copy.runs.train(config, dataset="sums-v1", base=path).manifest
    again = copy.runs.train(config, dataset="sums-v1", base=run_id)
    assert (again.manifest, again.already_done) == (tuned, True)


def test_two_stores_give_one_run(trained: Path, copy: Store, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other")
    done = other.runs.train(str(trained / "tiny.toml"), dataset="sums-v1")
    assert not done.already_done
    assert done.manifest == training_of(copy)


def test_reproducing_everything_is_identical_and_changes_nothing(copy: Store) -> None:
    started: list[str] = []
    progress: list[tuple[int, int | None]] = []
    before = output_digests(copy.root)
    watch = Watch(
        on_begin=started.append,
        on_progress=lambda done, total, _: progress.append((done, total)),
    )
    verdicts = copy.reproduce(None, watch=watch)
    assert [v.verdict for v in verdicts] == [Answer.IDENTICAL] * 6
    assert [v.kind for v in verdicts] == [
        "training", "responses", "evaluation", "responses", "evaluation", "contamination",
    ]  # fmt: skip
    assert len(started) == 6
    assert progress
    assert output_digests(copy.root) == before


def test_one_run_can_be_reproduced_alone(copy: Store) -> None:
    for manifest in (of_untrained(copy), of_trained(copy)):
        responses, verdict = copy.reproduce(manifest.run_id[:8])
        assert (responses.kind, responses.id) == ("responses", manifest.responses.run_id)
        assert verdict.id == manifest.run_id
        assert verdict.verdict is Answer.IDENTICAL


def test_a_result_that_does_not_come_out_again_has_diverged(copy: Store) -> None:
    """Somebody publishes better figures, with every digest in order."""
    manifest = training_of(copy)
    directory = copy.layout.runs / manifest.run_id
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    changed = json.loads(lines[1]) | {"loss": 0.01}
    lines[1] = json.dumps(changed, separators=(",", ":"), sort_keys=True)
    (directory / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    reseal(copy, manifest)
    assert copy.verify().ok
    verdicts = copy.reproduce(manifest.run_id)
    assert verdicts[0].verdict is Answer.DIVERGED
    assert verdicts[0].first_difference is not None
    assert "step 2: the gradient norm is the same, the loss was 0.01" in (
        verdicts[0].first_difference
    )


def test_fast_mode_is_identical_here_and_close_elsewhere(copy: Store) -> None:
    fast = [*TINY, "training.numeric_mode=fast"]
    manifest = copy.runs.train("nano", dataset="sums-v1", overrides=fast).manifest
    assert manifest.numeric_class is not None
    (verdict,) = copy.reproduce(manifest.run_id)
    assert verdict.verdict is Answer.IDENTICAL
    assert verdict.reasons == []
    # The same run as another machine would have published it: another maker, other last bits.
    directory = copy.layout.runs / manifest.run_id
    elsewhere = msgspec.structs.replace(manifest.numeric_class, cpu_vendor="SomebodyElse")
    metrics = (directory / "metrics.jsonl").read_text().splitlines()
    last = json.loads(metrics[-1])
    metrics[-1] = json.dumps(last | {"loss": last["loss"] * 1.0001}, sort_keys=True)
    (directory / "metrics.jsonl").write_text("\n".join(metrics) + "\n")
    reseal(copy, msgspec.structs.replace(manifest, numeric_class=elsewhere))
    (verdict,) = copy.reproduce(manifest.run_id)
    assert verdict.verdict is Answer.CLOSE
    assert verdict.reasons == ["numeric mode fast, and cpu_vendor differs here"]


def test_other_package_versions_promise_only_close(copy: Store) -> None:
    manifest = training_of(copy)
    packages = manifest.identity.code.packages | {"jax": "0.0.1"}
    identity = msgspec.structs.replace(
        manifest.identity, code=msgspec.structs.replace(manifest.identity.code, packages=packages)
    )
    reseal(copy, msgspec.structs.replace(manifest, identity=identity))
    verdict = copy.reproduce(manifest.run_id)[0]
    assert verdict.expected is Answer.CLOSE
    assert any(reason.startswith("jax is ") for reason in verdict.reasons)


def test_another_version_of_the_judge_promises_only_close(copy: Store) -> None:
    manifest = of_trained(copy)
    judge = msgspec.structs.replace(manifest.identity.judge, version="0")
    identity = msgspec.structs.replace(manifest.identity, judge=judge)
    reseal(copy, msgspec.structs.replace(manifest, identity=identity))
    _, verdict = copy.reproduce(manifest.run_id)
    assert verdict.expected is Answer.CLOSE
    assert verdict.reasons == ["the judge exact is version 2 here and was 0"]


def test_a_run_over_redacted_members_is_not_reproducible(copy: Store) -> None:
    member = next(m.trace for m in copy.datasets["sums-v1"].members() if m.split == "train")
    redact(copy.log, [member])
    verdicts = copy.reproduce(None)
    # The training cannot be made again; what its committed weights answer can, and is.
    assert [(v.kind, v.verdict) for v in verdicts] == [
        ("training", Answer.NOT_REPRODUCIBLE),
        ("responses", Answer.IDENTICAL),
        ("evaluation", Answer.IDENTICAL),
        ("responses", Answer.IDENTICAL),
        ("evaluation", Answer.IDENTICAL),
        ("contamination", Answer.NOT_REPRODUCIBLE),
    ]
    assert verdicts[0].reasons == ["1 redacted member of sums-v1"]
    assert copy.verify(rebuild=True).ok


def test_a_redaction_gives_the_next_training_another_id(copy: Store) -> None:
    before = training_of(copy)
    member = next(m.trace for m in copy.datasets["sums-v1"].members() if m.split == "train")
    redact(copy.log, [member])
    done = copy.runs.train(str(copy.root / "tiny.toml"), dataset="sums-v1")
    assert not done.already_done
    assert done.manifest.run_id != before.run_id
    assert done.manifest.identity.text != before.identity.text
    assert done.manifest.ledger.n_redacted == 1
    ledger = list(done.run.ledger())
    assert [line.trace for line in ledger] == sorted(
        m.trace for m in copy.datasets["sums-v1"].members() if m.split == "train"
    )
    (gone,) = (line for line in ledger if line.outcome == "redacted")
    assert (gone.trace, gone.reason, gone.n_tokens) == (member, "redacted", 0)
    assert [v.verdict for v in copy.reproduce(done.manifest.run_id)] == [Answer.IDENTICAL]


def test_training_goes_on_from_a_base(copy: Store) -> None:
    first = training_of(copy)
    config = str(copy.root / "tiny.toml")
    tuned = copy.runs.train(config, dataset="sums-v1", base=first.run_id[:8]).manifest
    assert tuned.identity.base == model_digests(copy.layout.runs / first.run_id / "model")
    assert tuned.weights != first.weights
    directory = copy.layout.runs / first.run_id / "model"
    elsewhere = copy.root / "a copy"
    shutil.copytree(directory, elsewhere)
    for base in (str(directory), os.path.relpath(directory), str(elsewhere)):
        assert copy.runs.train(config, dataset="sums-v1", base=base).already_done
    assert copy.reproduce(tuned.run_id)[0].verdict is Answer.IDENTICAL


def test_a_model_from_elsewhere_is_evaluated_and_gets_a_verdict_of_its_own(
    copy: Store, tmp_path: Path
) -> None:
    """It cannot be found again, and that keeps no verdict from the other runs."""
    with untrained_model(copy.layout, load_config("nano", TINY)) as model:
        shutil.copytree(model, tmp_path / "elsewhere")
    manifest = copy.runs.evaluate(
        str(tmp_path / "elsewhere"), evalset="sums", max_new_tokens=4
    ).manifest
    verdicts = {v.id: v for v in copy.reproduce(None)}
    foreign = verdicts[manifest.responses.run_id]
    assert foreign.verdict is Answer.NOT_REPRODUCIBLE
    assert "is from elsewhere: no training run here made it" in foreign.reasons[0]
    # Its responses can be judged again.
    assert verdicts[manifest.run_id].verdict is Answer.IDENTICAL
    assert sum(v.verdict is Answer.IDENTICAL for v in verdicts.values()) == 7


def test_a_copy_of_a_model_is_the_same_model_by_whatever_path(copy: Store) -> None:
    training, run = training_of(copy), of_trained(copy)
    directory = copy.layout.runs / training.run_id / "model"
    elsewhere = copy.root / "a copy"
    shutil.copytree(directory, elsewhere)
    for model in (training.run_id, str(directory), os.path.relpath(directory), str(elsewhere)):
        done = copy.runs.evaluate(model, evalset="sums", max_new_tokens=6)
        assert (done.manifest, done.already_done) == (run, True)


def test_an_evaluation_is_not_a_model(copy: Store) -> None:
    with pytest.raises(BadInputError, match="holds no weights"):
        copy.runs.evaluate(evaluations_of(copy)[0].run_id, evalset="sums")


def test_a_split_without_members_gets_a_sentence(copy: Store) -> None:
    with pytest.raises(BadInputError, match="no examples in the split validation"):
        copy.runs.train("nano", dataset="sums-v1", overrides=['data.split="validation"'])


def test_answers_get_the_room_that_the_context_leaves(copy: Store) -> None:
    config = copy.root / "short.toml"
    config.write_text(SMALL_MODEL.replace("[model]\n", "[model]\nmax_length = 80\n"))
    manifest = copy.runs.evaluate(f"untrained:{config}", evalset="sums").manifest
    assert 1 <= manifest.responses.generation.max_new_tokens < 80


def test_what_an_execution_took_is_recorded_and_hashed_into_nothing(copy: Store) -> None:
    execution = Execution(started_at="2026-01-01T00:00:00Z", duration_s=1.25)
    done = copy.runs.train(
        "nano",
        dataset="sums-v1",
        overrides=[*TINY, "training.seed=5"],
        watch=Watch(stopwatch=lambda: execution),
    )
    (environment,) = Run.of(copy.layout, done.manifest.run_id).environments()
    assert environment["duration_s"] == 1.25
    assert environment["started_at"] == "2026-01-01T00:00:00Z"
    (copy.layout.runs / done.manifest.run_id / "environments").rename(copy.root / "gone")
    assert copy.verify().ok


def test_a_run_whose_inputs_are_gone_is_found(copy: Store) -> None:
    evalset = copy.layout.evalsets / "sums.jsonl"
    data = evalset.read_bytes()
    # One finding for the eval set, at the first of the runs that answered it.
    answered = f"runs/{min(m.responses.run_id for m in evaluations_of(copy))}/manifest.json"
    evalset.write_bytes(data + b"\n")
    assert [f.path for f in copy.verify().findings] == [answered]
    evalset.unlink()
    assert [f.path for f in copy.verify().findings] == [answered]
    # What it is called does not matter.
    (copy.layout.evalsets / "renamed.jsonl").write_bytes(data)
    assert copy.verify(rebuild=True).ok
    run = of_trained(copy)
    (copy.layout.runs / run.responses.run_id).rename(copy.root / "elsewhere")
    (finding,) = copy.verify().findings
    assert finding.path == f"runs/{run.run_id}/manifest.json"
    assert finding.expected == f"runs/{run.responses.run_id}"
    (verdict,) = copy.reproduce(run.run_id)
    assert verdict.verdict is Answer.NOT_REPRODUCIBLE


def test_figures_that_do_not_follow_from_the_responses_are_found(copy: Store) -> None:
    """A forged score, with every digest in order: judging again is cheap, and says so."""
    run = of_trained(copy)
    results = msgspec.structs.replace(run.results, avg_score=99.0)
    reseal(copy, msgspec.structs.replace(run, results=results))
    assert copy.verify().ok
    (finding,) = copy.verify(rebuild=True).findings
    assert finding.path == f"runs/{run.run_id}/manifest.json"
    assert "results.avg_score was " in finding.problem


def test_a_dataset_under_another_key_is_found_by_its_digest(copy: Store) -> None:
    """The same recipe and members under another name: the run is reproduced from it."""
    copy.datasets.build("other", "v1", splits={"test": "0.2"})
    shutil.rmtree(copy.layout.datasets / "sums")
    # Another selection takes the old key; the run was not trained on it.
    copy.datasets.build("sums", "v1", limit=3)
    verdicts = copy.reproduce(training_of(copy).run_id)
    assert {v.verdict for v in verdicts} == {Answer.IDENTICAL}
    assert copy.verify(rebuild=True).ok
    rows = {row.kind: row for row in copy.runs.leaderboard()}
    assert rows["training"].dataset_key == "other-v1"


def test_a_run_with_everything_switched_on_comes_out_again(copy: Store) -> None:
    overrides = [
        *TINY,
        "training.numeric_mode=fast",
        "training.optimizer=muon",
        "training.gradient_accumulation_steps=2",
        "training.eval_steps=2",
        "data.validation_split=test",
        "data.packing=true",
    ]
    manifest = copy.runs.train("nano", dataset="sums-v1", overrides=overrides).manifest
    metrics = (copy.layout.runs / manifest.run_id / "metrics.jsonl").read_text().splitlines()
    assert ["validation_loss" in json.loads(line) for line in metrics] == [False, True, True]
    (verdict,) = copy.reproduce(manifest.run_id)
    assert verdict.verdict is Answer.IDENTICAL
