"""MODEL arguments: a path is answered as a path, a run as a run, by one resolver everywhere."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt.errors import TunixrtError
from tunixrt.jobs.models import NoModelError, model_directory
from tunixrt.runs.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt import Store
    from tunixrt.runs.manifests import TrainingManifest


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    return made_store(tmp_path)


@pytest.fixture
def trained(store: Store) -> TrainingManifest:
    return made_training(store)


def model(path: Path, *names: str) -> None:
    path.mkdir(parents=True)
    for name in names or ("config.json", "model.safetensors", "tokenizer.json"):
        (path / name).write_text("{}")


#: How each command takes a MODEL; what it says must not depend on the command.
WAYS: dict[str, Callable[[Store, str], object]] = {
    "eval": lambda store, model: store.runs.evaluate(model, evalset="sums"),
    "train --base": lambda store, model: store.runs.train("nano", dataset="sums-v1", base=model),
    "train --dry-run": lambda store, model: store.runs.rehearse(
        "nano", dataset="sums-v1", base=model
    ),
    "evalset check": lambda store, model: store.evalsets.check_prompts("sums", model),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("models/gemma", "The directory models/gemma does not exist: neither does models."),
        ("./gemma", "The directory ./gemma does not exist."),
        ("../gemma", "The directory ../gemma does not exist."),
        ("/gemma", "The directory /gemma does not exist."),
        ("~/gemma", "The directory ~/gemma does not exist: the shell expands ~"),
        ("here/gema", "The directory here/gema does not exist. Did you mean here/gemma?"),
        ("here", "The directory here has no config.json: expected a model in Hugging Face's"),
        ("here", "Did you mean here/gemma?"),
        ("abcdef12", "The directory abcdef12 has no config.json"),
        ("runs", "The directory runs has no config.json"),
        ("here/gemma/config.json", "here/gemma/config.json is a file: name the directory"),
        ("sums.txt", "sums.txt is a file: name the directory"),
        ("pickled", "has no model.safetensors, but pytorch_model.bin: expected all weights in one"),
        ("sharded", "has no model.safetensors, but model.safetensors.index.json"),
        ("bare", "The directory bare has no tokenizer.json"),
        ("gemma", '"gemma" is neither a name that a run was promoted to nor a run id'),
        ("gemma", "A directory of that name does not exist here either."),
        ("nano", "The untrained weights of a configuration are untrained:nano."),
        ("run.toml", "The untrained weights of a configuration are untrained:run.toml."),
        ("00aabb", "The run 00aabb does not exist here."),
    ],
)
def test_what_is_no_model_is_told_as_what_it_was_meant_to_be(
    way: str, given: str, says: str, store: Store, tmp_path: Path
) -> None:
    model(tmp_path / "here" / "gemma")
    (tmp_path / "abcdef12").mkdir()
    (tmp_path / "sums.txt").write_text("no model")
    model(tmp_path / "pickled", "config.json", "pytorch_model.bin")
    model(tmp_path / "sharded", "config.json", "model.safetensors.index.json")
    model(tmp_path / "bare", "config.json", "model.safetensors")
    with pytest.raises(NoModelError) as caught:
        WAYS[way](store, given)
    assert says in str(caught.value)
    if "/" in given or given.startswith((".", "~")):
        assert "hex digits" not in str(caught.value)
    assert not [run.manifest for run in store.runs]


def test_a_run_is_the_same_model_however_it_is_spelt(
    store: Store, trained: TrainingManifest, tmp_path: Path
) -> None:
    store.runs.promote(trained.run_id, "first")
    (tmp_path / "link").symlink_to(store.layout.runs / trained.run_id / "model")
    spelt = (
        trained.run_id,
        trained.run_id[:8],
        "first",
        f"runs/{trained.run_id}",
        f"./runs/{trained.run_id}/",
        f"runs/{trained.run_id}/model",
        str(tmp_path / "runs" / trained.run_id / "model"),
        "./link",
        "link",
    )
    expected = store.layout.runs / trained.run_id / "model"
    assert {model_directory(store.layout, text) for text in spelt} == {expected}


def test_a_directory_from_elsewhere_is_taken_by_its_path(store: Store, tmp_path: Path) -> None:
    model(tmp_path / "gemma")
    for text in ("gemma", "./gemma", str(tmp_path / "gemma")):
        assert model_directory(store.layout, text).samefile(tmp_path / "gemma")


def test_a_word_that_is_a_run_and_a_model_directory_has_to_be_written_as_one_of_them(
    store: Store, trained: TrainingManifest, tmp_path: Path
) -> None:
    store.runs.promote(trained.run_id, "first")
    (tmp_path / "first").mkdir()
    expected = store.layout.runs / trained.run_id / "model"
    assert model_directory(store.layout, "first") == expected
    shutil.rmtree(tmp_path / "first")
    model(tmp_path / "first")
    with pytest.raises(NoModelError, match=r"write \./first for the directory, or [0-9a-f]{12} fo"):
        model_directory(store.layout, "first")
    assert model_directory(store.layout, "./first").samefile(tmp_path / "first")


def test_an_evaluation_is_no_model_and_names_the_one_that_it_evaluated(
    store: Store, trained: TrainingManifest
) -> None:
    evaluation = made_evaluation(store, trained, n_right=3)
    for text in (evaluation.run_id, f"runs/{evaluation.run_id}"):
        with pytest.raises(NoModelError, match=trained.run_id[:12]):
            model_directory(store.layout, text)


def test_untrained_needs_a_configuration_and_is_no_base(store: Store) -> None:
    with pytest.raises(ConfigError, match="untrained: lacks the configuration"):
        store.runs.evaluate("untrained:", evalset="sums")
    with pytest.raises(NoModelError, match="training with that configuration starts from anyway"):
        store.runs.train("nano", dataset="sums-v1", base="untrained:nano")
    with pytest.raises(TunixrtError, match='Did you mean "nano"'):
        store.evalsets.check_prompts("sums", "untrained:nan")
