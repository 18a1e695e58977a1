"""From a dataset to a model and its evaluation, and the same again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.jobs.conftest import TINY, make_store
from tunixrt.errors import BadInputError
from tunixrt.jobs.machine import Execution
from tunixrt.jobs.training import NotReproducibleError
from tunixrt.log.digests import digest_file
from tunixrt.runs.directories import output_digests, read_environments, seal_run
from tunixrt.runs.manifests import EvaluationManifest, TrainingManifest
from tunixrt.runs.verdict import Verdict
from tunixrt.traces.facts import redacted

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store


def training_of(store: Store) -> TrainingManifest:
    (manifest,) = [m for m in store.runs() if isinstance(m, TrainingManifest)]
    return manifest


def evaluations_of(store: Store) -> list[EvaluationManifest]:
    return [m for m in store.runs() if isinstance(m, EvaluationManifest)]


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
    members = [m.trace for m in copy.members("sums-v1") if m.split == "train"]
    assert [entry["trace"] for entry in entries] == members
    ledger = manifest.ledger
    assert (ledger.n_records, ledger.n_kept) == (len(members), len(members))
    assert (ledger.n_dropped, ledger.n_truncated, ledger.n_redacted) == (0, 0, 0)
    assert ledger.n_loss_tokens == sum(entry["n_loss_tokens"] for entry in entries)
    assert 0 < ledger.n_loss_tokens < ledger.n_tokens


def test_running_the_same_again_finds_it_done(copy: Store) -> None:
    config = str(copy.root / "tiny.toml")
    run_id = training_of(copy).run_id
    again = copy.train(config, dataset="sums-v1")
    assert again.already_done
    assert again.manifest.run_id == run_id
    logged = copy.train(config, dataset="sums-v1", overrides=["training.logging_steps=1"])
    assert logged.already_done
    evaluated = copy.evaluate(run_id[:8], evalset="sums", max_new_tokens=6)
    assert evaluated.already_done


def test_two_stores_give_one_run(trained: Path, copy: Store, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other")
    done = other.train(str(trained / "tiny.toml"), dataset="sums-v1")
    assert not done.already_done
    assert done.manifest == training_of(copy)


def test_reproducing_everything_is_identical_and_changes_nothing(copy: Store) -> None:
    started: list[str] = []
    progress: list[tuple[int, int | None]] = []
    before = output_digests(copy.root)
    verdicts = copy.reproduce(
        None,
        on_start=started.append,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert [v.verdict for v in verdicts] == [Verdict.IDENTICAL] * 3
    assert {v.kind for v in verdicts} == {"training", "evaluation"}
    assert len(started) == 3
    assert progress
    assert output_digests(copy.root) == before


def test_one_run_can_be_reproduced_alone(copy: Store) -> None:
    (untrained,) = [m for m in evaluations_of(copy) if m.model.untrained is not None]
    (trained_evaluation,) = [m for m in evaluations_of(copy) if m.model.run_id is not None]
    for manifest in (untrained, trained_evaluation):
        (verdict,) = copy.reproduce(manifest.run_id[:8])
        assert verdict.run_id == manifest.run_id
        assert verdict.verdict is Verdict.IDENTICAL


def test_a_result_that_does_not_come_out_again_has_diverged(copy: Store) -> None:
    """Somebody publishes better figures, with every digest in order."""
    manifest = training_of(copy)
    directory = copy.layout.runs / manifest.run_id
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    changed = json.loads(lines[1]) | {"loss": 0.01}
    lines[1] = json.dumps(changed, separators=(",", ":"), sort_keys=True)
    (directory / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    seal_run(directory, msgspec.structs.replace(manifest, outputs=output_digests(directory)))
    assert copy.verify().ok
    verdicts = copy.reproduce(manifest.run_id)
    assert verdicts[0].verdict is Verdict.DIVERGED
    assert verdicts[0].first_difference is not None
    assert "step 2: the gradient norm is the same, the loss was 0.01" in (
        verdicts[0].first_difference
    )


def test_fast_mode_is_identical_here_and_close_elsewhere(copy: Store) -> None:
    fast = [*TINY, "training.numeric_mode=fast"]
    manifest = copy.train("nano", dataset="sums-v1", overrides=fast).manifest
    assert manifest.numeric_class is not None
    (verdict,) = copy.reproduce(manifest.run_id)
    assert verdict.verdict is Verdict.IDENTICAL
    assert verdict.reasons == []
    # The same run as another machine would have published it: another maker, other last bits.
    directory = copy.layout.runs / manifest.run_id
    elsewhere = msgspec.structs.replace(manifest.numeric_class, cpu_vendor="SomebodyElse")
    metrics = (directory / "metrics.jsonl").read_text().splitlines()
    last = json.loads(metrics[-1])
    metrics[-1] = json.dumps(last | {"loss": last["loss"] * 1.0001}, sort_keys=True)
    (directory / "metrics.jsonl").write_text("\n".join(metrics) + "\n")
    seal_run(
        directory,
        msgspec.structs.replace(
            manifest, numeric_class=elsewhere, outputs=output_digests(directory)
        ),
    )
    (verdict,) = copy.reproduce(manifest.run_id)
    assert verdict.verdict is Verdict.CLOSE
    assert verdict.reasons == ["numeric mode fast, and cpu_vendor differs here"]


def test_other_package_versions_promise_only_close(copy: Store) -> None:
    manifest = training_of(copy)
    packages = manifest.identity.code.packages | {"jax": "0.0.1"}
    identity = msgspec.structs.replace(
        manifest.identity, code=msgspec.structs.replace(manifest.identity.code, packages=packages)
    )
    directory = copy.layout.runs / manifest.run_id
    seal_run(directory, msgspec.structs.replace(manifest, identity=identity))
    verdict = copy.reproduce(manifest.run_id)[0]
    assert verdict.expected is Verdict.CLOSE
    assert any(reason.startswith("jax is ") for reason in verdict.reasons)


def test_another_version_of_the_judge_promises_only_close(copy: Store) -> None:
    (manifest,) = [m for m in evaluations_of(copy) if m.model.run_id is not None]
    judge = msgspec.structs.replace(manifest.identity.judge, version="0")
    identity = msgspec.structs.replace(manifest.identity, judge=judge)
    directory = copy.layout.runs / manifest.run_id
    seal_run(directory, msgspec.structs.replace(manifest, identity=identity))
    (verdict,) = copy.reproduce(manifest.run_id)
    assert verdict.expected is Verdict.CLOSE
    assert verdict.reasons == ["the judge exact is version 1 here and was 0"]


def test_a_run_over_redacted_members_is_not_reproducible(copy: Store) -> None:
    member = next(m.trace for m in copy.members("sums-v1") if m.split == "train")
    copy.log.append([redacted(member, "asked to")])
    with pytest.raises(NotReproducibleError, match="not reproducible: 1 redacted"):
        copy.reproduce(training_of(copy).run_id)


def test_training_goes_on_from_a_base(copy: Store) -> None:
    first = training_of(copy)
    config = str(copy.root / "tiny.toml")
    tuned = copy.train(config, dataset="sums-v1", base=first.run_id[:8]).manifest
    assert tuned.identity.base == first.weights
    assert tuned.base == first.run_id
    assert tuned.weights != first.weights
    directory = copy.layout.runs / first.run_id / "model"
    assert copy.train(config, dataset="sums-v1", base=str(directory)).already_done


def test_a_model_directory_from_elsewhere_is_evaluated_but_cannot_be_found_again(
    copy: Store, tmp_path: Path
) -> None:
    model = copy.layout.runs / training_of(copy).run_id / "model"
    elsewhere = tmp_path / "elsewhere"
    model.rename(elsewhere)
    manifest = copy.evaluate(str(elsewhere), evalset="sums", max_new_tokens=4).manifest
    elsewhere.rename(model)
    assert manifest.model.run_id is None
    with pytest.raises(BadInputError, match="no run"):
        copy.reproduce(manifest.run_id)


def test_an_evaluation_is_not_a_model(copy: Store) -> None:
    with pytest.raises(BadInputError, match="holds no weights"):
        copy.evaluate(evaluations_of(copy)[0].run_id, evalset="sums")


def test_a_split_without_members_gets_a_sentence(copy: Store) -> None:
    with pytest.raises(BadInputError, match="no examples in the split validation"):
        copy.train("nano", dataset="sums-v1", overrides=['data.split="validation"'])


def test_answers_get_the_room_that_the_context_leaves(copy: Store) -> None:
    overrides = [*TINY, "model.max_length=80"]
    run_id = copy.train("nano", dataset="sums-v1", overrides=overrides).manifest.run_id
    manifest = copy.evaluate(run_id, evalset="sums").manifest
    assert 1 <= manifest.identity.generation.max_new_tokens < 80


def test_what_an_execution_took_is_recorded_and_hashed_into_nothing(copy: Store) -> None:
    execution = Execution(started_at="2026-01-01T00:00:00Z", duration_s=1.25)
    done = copy.train(
        "nano",
        dataset="sums-v1",
        overrides=[*TINY, "training.seed=5"],
        stopwatch=lambda: execution,
    )
    (environment,) = read_environments(copy.layout, done.manifest.run_id)
    assert environment["duration_s"] == 1.25
    assert environment["started_at"] == "2026-01-01T00:00:00Z"
    (copy.layout.runs / done.manifest.run_id / "environments").rename(copy.root / "gone")
    assert copy.verify().ok


def test_a_run_whose_inputs_are_gone_is_found(copy: Store) -> None:
    evalset = copy.layout.evalsets / "sums.jsonl"
    data = evalset.read_bytes()
    evalset.write_bytes(data + b"\n")
    assert [f.path for f in copy.verify().findings] == ["evalsets/sums.jsonl"]
    evalset.unlink()
    assert [f.path for f in copy.verify().findings] == ["evalsets/sums.jsonl"]
    evalset.write_bytes(data)
    training = training_of(copy)
    (copy.layout.runs / training.run_id).rename(copy.root / "elsewhere")
    (finding,) = copy.verify().findings
    assert finding.found == "no such run"


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
    manifest = copy.train("nano", dataset="sums-v1", overrides=overrides).manifest
    metrics = (copy.layout.runs / manifest.run_id / "metrics.jsonl").read_text().splitlines()
    assert ["validation_loss" in json.loads(line) for line in metrics] == [False, True, True]
    (verdict,) = copy.reproduce(manifest.run_id)
    assert verdict.verdict is Verdict.IDENTICAL
