"""The run id: everything that decides the bits, nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import rfc8785

from tests.making.identities import (
    D,
    evaluation_identity,
    training_identity,
)
from tunixrt.log.digests import digest_bytes
from tunixrt.runs.identity import (
    Code,
    GenerationSettings,
    Judge,
    ModelDigests,
    Template,
    current_code,
    sources_digest,
)

if TYPE_CHECKING:
    from pathlib import Path

E = digest_bytes(b"something else")


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": E},
        {"text": E},
        {"validation_text": E},
        {"base": ModelDigests(weights=D, model_config=D, tokenizer=D)},
        {"config": {"training": {"seed": 1}}},
        {"tokenizer": E},
        {"template": Template(format="tunix_sft", version="2")},
        {"template": Template(format="tunix_sft", version="1", system_instruction="Be brief.")},
        {"numeric_mode": "fast"},
        {"numeric_class": E},
        {"code": Code(sources=E, packages={"jax": "0.10.2"})},
        {"code": Code(sources=D, packages={"jax": "0.10.3"})},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_bits_changes_the_id_of_a_training_run(change: dict[str, Any]) -> None:
    assert training_identity(**change).run_id != training_identity().run_id


@pytest.mark.parametrize(
    "change",
    [
        {"model": ModelDigests(weights=E, model_config=D, tokenizer=D)},
        {"model": ModelDigests(weights=D, model_config=E, tokenizer=D)},
        {"model": ModelDigests(weights=D, model_config=D, tokenizer=E)},
        {"untrained": {}},
        {"evalset": E},
        {"template": Template(format="tunix_sft", version="2")},
        {"generation": GenerationSettings(strategy="greedy", max_new_tokens=97, batch_size=64)},
        {"generation": GenerationSettings(strategy="greedy", max_new_tokens=96, batch_size=63)},
        {"numeric_mode": "fast"},
        {"code": Code(sources=E, packages={"jax": "0.10.2"})},
        {"judge": Judge(name="verbatim", version="1")},
        {"judge": Judge(name="exact", version="2")},
        {"summary": 2},
        {"numeric_class": E},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_bits_changes_the_id_of_an_evaluation_run(change: dict[str, Any]) -> None:
    here = evaluation_identity()
    assert evaluation_identity(**change).run_id != here.run_id
    # What decides a token names other responses; judge and figures read them and decide none.
    same = evaluation_identity(**change).responses.run_id == here.responses.run_id
    assert same == (not change.keys().isdisjoint({"judge", "summary"}))


def test_the_first_version_of_the_figures_is_absent_from_the_identity() -> None:
    document = json.loads(msgspec.json.encode(evaluation_identity()))
    assert document.keys() == {"format", "judge", "kind", "responses"}
    assert json.loads(msgspec.json.encode(evaluation_identity(summary=2)))["summary"] == 2


def test_an_evaluation_holds_the_identity_of_its_responses() -> None:
    document = json.loads(msgspec.json.encode(evaluation_identity()))
    expected = digest_bytes(rfc8785.dumps(document["responses"])).removeprefix("sha256:")
    assert evaluation_identity().responses.run_id == expected


def test_the_run_id_is_the_sha256_of_the_identity_by_any_rfc_8785_library() -> None:
    document = json.loads(msgspec.json.encode(training_identity()))
    assert document["kind"] == "training"
    expected = digest_bytes(rfc8785.dumps(document)).removeprefix("sha256:")
    assert training_identity().run_id == expected


def test_the_sources_are_digested_by_name_and_content(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "sub" / "b.py").write_text("y = 1\n")
    before = sources_digest(tmp_path)
    (tmp_path / "notes.md").write_text("not a source")
    assert sources_digest(tmp_path) == before
    (tmp_path / "sub" / "b.py").rename(tmp_path / "sub" / "c.py")
    moved = sources_digest(tmp_path)
    assert moved != before
    (tmp_path / "a.py").write_text("x = 2\n")
    assert sources_digest(tmp_path) not in {before, moved}


def test_the_current_code_names_the_numeric_packages() -> None:
    code = current_code()
    assert set(code.packages) >= {"flax", "jax", "jaxlib", "numpy", "optax", "safetensors"}
    assert code == current_code()
