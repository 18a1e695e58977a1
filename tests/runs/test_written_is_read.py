"""Whatever finite numbers a run meets, what is written of it is read again, and is the same."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.making.identities import evaluation_identity, training_identity
from tests.making.manifests import evaluation_manifest, training_manifest
from tests.making.runs import made_store, made_training
from tunixrt.derive import encode_manifest, write_environment
from tunixrt.errors import BadInputError, TunixrtError
from tunixrt.eval.prediction_traces import read_predictions
from tunixrt.log import canonical
from tunixrt.log.files import publish_directory, staging_directory
from tunixrt.log.sums import output_digests, seal
from tunixrt.runs.config import RunConfig
from tunixrt.runs.config_sources import load_config
from tunixrt.runs.identity import Draws, GenerationSettings
from tunixrt.runs.lines import MetricsLine, Prediction, encode_lines
from tunixrt.runs.manifests import Estimate, read_manifest
from tunixrt.runs.run import Run
from tunixrt.runs.step_differences import first_step_that_differs

if TYPE_CHECKING:
    from pathlib import Path

#: Where notations change (1e21, 1e-7), integers end (2^53) and doubles do.
EDGES = (
    1e16,
    2.0**53,
    2.0**53 - 1,
    2.0**63,
    2.0**64,
    1e20,
    1e21,
    1e22,
    1e300,
    sys.float_info.max,
    sys.float_info.min,
    5e-324,
    1e-7,
    -0.0,
    0.1,
    -1e16,
)
FINITE = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(EDGES)
ANY_CONFIG = st.dictionaries(st.text(max_size=5), st.dictionaries(st.text(max_size=5), FINITE))

quiet = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def written(path: Path, manifest: Any) -> Any:
    path.write_bytes(encode_manifest(manifest))
    again = read_manifest(path)
    assert encode_manifest(again) == path.read_bytes()
    return again


@quiet
@given(ANY_CONFIG, FINITE, FINITE)
@example({"training": {"max_grad_norm": 1e16}}, 1e16, 2.0**53)
def test_the_manifest_of_a_training_is_read_again(
    tmp_path: Path, config: dict[str, object], first: float, last: float
) -> None:
    manifest = training_manifest(identity=training_identity(config=config))
    results = msgspec.structs.replace(manifest.results, first_loss=first, last_loss=last)
    again = written(tmp_path / "m", msgspec.structs.replace(manifest, results=results))
    assert (again.results.first_loss, again.results.last_loss) == (first, last)
    assert again.config == config
    assert again.identity.run_id == manifest.identity.run_id


@quiet
@given(FINITE, FINITE, ANY_CONFIG)
@example(1e16, -1e16, {"training": {"max_grad_norm": 1e16}})
def test_the_manifest_of_an_evaluation_is_read_again(
    tmp_path: Path, low: float, high: float, config: dict[str, object]
) -> None:
    manifest = evaluation_manifest()
    draws = Draws(temperature=low, top_p=high, n=2, seed=0)
    generation = GenerationSettings("sampling", 96, 64, draws)
    changed = msgspec.structs.replace(
        manifest,
        identity=evaluation_identity(generation=generation, untrained=config),
        results=msgspec.structs.replace(manifest.results, avg_score=low, interval=(low, high)),
    )
    again = written(tmp_path / "m", changed)
    assert again.results == changed.results
    assert again.identity == changed.identity
    assert msgspec.convert({"score": 1, "interval": (low, high)}, Estimate).interval == (low, high)


@quiet
@given(FINITE, FINITE, FINITE)
@example(1e16, 2.0**53, 1e300)
def test_metrics_are_read_again_by_everything_that_reads_them(
    tmp_path: Path, loss: float, norm: float, other: float
) -> None:
    metrics = [MetricsLine(step, loss, norm, other, 7, "0" * 8, loss) for step in (1, 2)]
    data = encode_lines(metrics)
    (tmp_path / "metrics.jsonl").write_bytes(data)
    again = list(Run(tmp_path).metrics())
    assert again == metrics
    assert encode_lines(again) == data
    said = first_step_that_differs(again, metrics[:1], fingerprints=True)
    assert said == "step 2: there were 2 steps, now 1"


@quiet
@given(FINITE, st.text(max_size=9))
@example(1e16, "")
def test_predictions_are_read_again(tmp_path: Path, score: float, text: str) -> None:
    prediction = Prediction(
        example_id="a",
        prompt=text,
        generated_response=text,
        parsed_steps=(text,),
        parsed_answer=None,
        expected_response="1",
        correct=False,
        reason=text,
        score=score,
        n_tokens=3,
        stop_reason="length",
        category="c",
        difficulty="d",
    )
    (tmp_path / "p").write_bytes(encode_lines([prediction]))
    assert list(read_predictions(tmp_path / "p")) == [prediction]
    (tmp_path / "p").rename(tmp_path / "predictions.jsonl")
    assert list(Run(tmp_path).predictions()) == [prediction]


@pytest.mark.parametrize("edge", EDGES)
def test_a_run_with_a_number_at_an_edge_is_published_verified_and_planned_again(
    tmp_path: Path, edge: float
) -> None:
    store = made_store(tmp_path)
    made = made_training(store)
    try:
        config = load_config("nano", [f"training.max_grad_norm={edge!r}"])
    except BadInputError:
        assert edge <= 0
        return
    identity = msgspec.structs.replace(made.identity, config=config.identity())
    with staging_directory(store.layout) as staged:
        (staged / "model").mkdir()
        (staged / "model" / "model.safetensors").write_bytes(b"w")
        results = msgspec.structs.replace(made.results, first_loss=edge)
        manifest = msgspec.structs.replace(
            made,
            run_id=identity.run_id,
            identity=identity,
            results=results,
            outputs=output_digests(staged),
        )
        seal(staged, encode_manifest(manifest))
        write_environment(staged / "environments", {"duration_s": edge})
        publish_directory(staged, store.layout.runs / manifest.run_id)
    assert store.verify().ok
    again = store.runs[identity.run_id].manifest
    assert again == manifest
    assert RunConfig.from_resolved(again.config) == config
    assert Run.of(store.layout, identity.run_id).environments() == [{"duration_s": edge}]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", str(2**53), str(10**30)])
def test_a_number_that_cannot_be_kept_is_refused_before_anything_is_made(number: str) -> None:
    with pytest.raises(TunixrtError) as caught:
        training_identity(config=load_config("nano", [f"training.seed={number}"]).resolved()).run_id  # noqa: B018
    assert len(str(caught.value)) > 20


def test_a_stored_reader_refuses_what_no_reader_keeps() -> None:
    assert canonical.decode_stored(b'{"a": 10000000000000000}') == {"a": 1e16}
    for text in (b'{"a":1,"a":2}', b"NaN", b"[1e999]", b'"\xff"', b"[1"):
        with pytest.raises(canonical.CanonicalError):
            canonical.decode_stored(text)
