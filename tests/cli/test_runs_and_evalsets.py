"""`run`, `evalset` and the gates of `eval` and `compare`, over runs that were made for the test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.making.files import tree
from tests.making.runs import made_evaluation, made_store, made_training, write_evalset
from tunixrt.log.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome
    from tunixrt import Store
    from tunixrt.runs.manifests import EvaluationManifest, TrainingManifest

    Runs = tuple[TrainingManifest, EvaluationManifest, EvaluationManifest]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made_store(tmp_path)


@pytest.fixture
def runs(store: Store) -> Runs:
    trained = made_training(store)
    before = made_evaluation(store, None, n_right=3)
    return trained, before, made_evaluation(store, trained, n_right=15)


def test_a_promoted_run_is_listed_shown_and_compared_by_name(
    cli: Callable[..., Outcome], runs: Runs
) -> None:
    _, before, after = runs
    done = cli("run", "promote", before.run_id[:10], "--as", "baseline")
    assert done.out == before.run_id + "\n"
    assert "is baseline now." in done.err
    assert "is baseline already" in cli("run", "promote", "baseline", "--as", "baseline").err
    moved = cli("run", "promote", after.run_id, "--as", "baseline", "--json").document
    assert moved["before"] == [before.run_id]
    again = cli("run", "promote", before.run_id, "--as", "baseline")
    assert f"before, it was {after.run_id[:12]}" in again.err
    listed = cli("run", "list").out.splitlines()
    assert listed[0].split() == ["run", "kind", "of", "result", "names"]
    assert listed[2].startswith(after.run_id[:12])
    assert listed[3].endswith("baseline")
    document = cli("run", "list", "--evalset", "sums", "--json").document
    assert [r["score"] for r in document["runs"]] == [65.0, 15.0]
    assert list(document["runs"][0])[:2] == ["run_id", "kind"]
    shown = cli("run", "show", "baseline")
    assert shown.out.startswith(f"run {before.run_id} (baseline)\n")
    assert "\nexecuted at 2026-01-01T00:00:00Z in 1.5 s (tunixrt " in shown.out
    assert cli("run", "show", "baseline", "--json").document["manifest"]["run_id"] == before.run_id
    assert "promoted runs: baseline" in cli("status").out
    assert cli("verify").code == 0


def test_a_conflict_of_names_is_reported_with_what_decides_it(
    cli: Callable[..., Outcome], store: Store, runs: Runs, tmp_path: Path
) -> None:
    from tunixrt.runs.promotions import promoted

    _, before, after = runs
    heads = store.log.segments()
    for run in (before, after):  # as two branches do: neither sees the other's event
        others = [s.path for s in store.log.segments() if s not in heads]
        for path in others:
            path.rename(tmp_path / path.name)
        store.log.append([promoted("baseline", run.run_id)])
        for path in others:
            (tmp_path / path.name).rename(path)
    status = cli("status").out
    assert "conflict: the name baseline was given to different runs" in status
    assert "`tunixrt run promote RUN --as baseline` decides" in status
    refused = cli("run", "show", "baseline")
    assert refused.code == 2
    assert before.run_id in refused.err
    assert after.run_id in refused.err


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("{before}", "{after}"), 0),
        (("{before}", "{after}", "--fail-below", "0"), 0),
        (("{after}", "{before}"), 0),
        (("{after}", "{before}", "--fail-below", "0"), 1),
        (("{after}", "{before}", "--fail-below", "20"), 1),
        # The change is -50, its interval reaches up to about -26.
        (("{after}", "{before}", "--fail-below", "50"), 0),
        # Nothing changed, and nothing that chance could not do.
        (("{after}", "{after}", "--fail-below", "0"), 0),
        (("{after}", "{near}", "--fail-below", "0"), 0),
        (("{after}", "{before}", "--metric", "finished", "--fail-below", "0"), 0),
        (("{after}", "{before}", "--category", "addition", "--fail-below", "0"), 1),
    ],
)
def test_the_gate_fails_only_on_a_loss_that_is_sure(
    cli: Callable[..., Outcome], store: Store, runs: Runs, args: tuple[str, ...], code: int
) -> None:
    near = made_evaluation(store, made_training(store, seed=9), n_right=14)
    ids = {"before": runs[1].run_id, "after": runs[2].run_id, "near": near.run_id}
    outcome = cli("run", "compare", *(arg.format(**ids) for arg in args))
    assert outcome.code == code, outcome
    assert ("worse than allowed" in outcome.out) == (code == 1)
    document = cli("run", "compare", *(arg.format(**ids) for arg in args), "--json").document
    assert document["failed"] == (code == 1)


def test_a_run_compared_with_itself_is_no_difference(
    cli: Callable[..., Outcome], runs: Runs
) -> None:
    document = cli("run", "compare", runs[1].run_id, runs[1].run_id, "--json").document
    assert (document["delta"], document["p_value"]) == (0.0, 1.0)
    assert document["verdict"] == "no clear difference"
    low, high = document["interval"]
    assert low < 0 < high


def test_other_metrics_and_categories_can_be_compared(
    cli: Callable[..., Outcome], runs: Runs
) -> None:
    args = ("run", "compare", runs[1].run_id, runs[2].run_id, "--json")
    finished = cli(*args, "--metric", "finished").document
    assert (finished["metric"], finished["a"], finished["b"]) == ("finished", 90.0, 90.0)
    assert cli(*args, "--metric", "answered").document["a"] == 100.0
    only = cli(*args, "--category", "subtraction").document
    assert list(only["categories"]) == ["subtraction"]
    assert only["n_pairs"] == 10


def test_eval_sets_are_listed_shown_and_checked(
    cli: Callable[..., Outcome], store: Store, runs: Runs
) -> None:
    listed = cli("evalset", "list")
    assert listed.out.splitlines()[2].split()[:4] == ["sums", "20", "2", "2"]
    (document,) = cli("evalset", "list", "--json").document["evalsets"]
    assert document["categories"] == {"addition": 10, "subtraction": 10}
    shown = cli("evalset", "show", "sums", "--category", "addition", "--limit", "3")
    assert len(shown.out.splitlines()) == 5
    assert len(cli("evalset", "show", "sums", "--json").document["samples"]) == 20
    checked = cli("evalset", "check", "sums")
    assert (checked.code, checked.out.strip()) == (0, document["digest"])
    assert cli("evalset", "check", "sums", "--json").document["n_samples"] == 20
    clean = cli("evalset", "check", "sums", "--dataset", "sums-v1")
    assert clean.code == 0
    assert clean.out.startswith("0 of 20 samples are in sums-v1: ")


def test_metadata_and_absent_answers_are_imported_and_shown(
    cli: Callable[..., Outcome], store: Store, tmp_path: Path
) -> None:
    lines = ['{"id": "a", "prompt": "Sort.", "task": "sort"}', '{"id": "b", "prompt": "?"}']
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    done = cli(
        "evalset", "import", str(tmp_path / "own.jsonl"), "--from", "evalset", "--name", "own"
    )
    assert "2 samples without an expected answer: a judge that is a program can judge" in done.err
    head, _, first, second = cli("evalset", "show", "own").out.splitlines()
    assert head.split()[-2:] == ["expected", "metadata"]
    assert first.split() == ["a", "unspecified", "unspecified", "Sort.", '{"task":"sort"}']
    assert second.split()[-1] == "{}"
    (sample, _) = cli("evalset", "show", "own", "--json").document["samples"]
    assert (sample["metadata"], sample["expected_answer"]) == ({"task": "sort"}, None)
    refused = cli("eval", "untrained:nano", "--evalset", "own", "--max-new-tokens", "2")
    assert refused.code == 2
    assert 'no expected answer for the sample "a" and 1 other sample' in refused.err


def test_samples_that_are_in_a_dataset_are_listed_with_exit_1(
    cli: Callable[..., Outcome], store: Store
) -> None:
    state = next(iter(store.traces.projection().active()))
    prompt = store.traces[state.id].flat.prompt
    write_evalset(store, "seen", [prompt, prompt.lower() + "!", "Why " + "so long " * 60 + "?"])
    found = cli("evalset", "check", "seen", "--dataset", "sums-v1")
    assert found.code == 1
    assert "q0      exact        100%" in found.out
    assert "2 of 3 samples are in sums-v1: 1 exact, 1 normalised, 0 by overlap" in found.out
    document = cli("evalset", "check", "seen", "--dataset", "sums-v1", "--json").document
    assert [o["kind"] for o in document["overlaps"]] == ["exact", "normalised"]
    assert document["overlaps"][0]["trace"] == state.id
    assert "..." in cli("evalset", "show", "seen").out


def test_a_contaminated_evaluation_exits_1_and_publishes_nothing(
    cli: Callable[..., Outcome], store: Store
) -> None:
    trained = made_training(store)
    train = next(m.trace for m in store.datasets["sums-v1"].members() if m.split == "train")
    write_evalset(store, "seen", [store.traces[train].flat.prompt])
    before = tree(store.root)
    outcome = cli("eval", trained.run_id, "--evalset", "seen", "--fail-on-contamination")
    assert outcome.code == 1
    assert "sums-v1/train" in outcome.err
    assert "q0" in outcome.err
    assert tree(store.root) == before


GOOD = {"id": "a", "prompt": "1+1?", "expected_answer": "2"}

BAD_EVALSETS = {
    "two samples of one id": ([GOOD, GOOD], ["line 2", '"a"', "line 1"]),
    "an empty expected answer": ([GOOD | {"expected_answer": ""}], ["line 1", "expected_answer"]),
    "a blank expected answer": ([GOOD | {"expected_answer": "  "}], ["line 1", "expected_answer"]),
    "an unknown field": ([GOOD | {"expected": "2"}], ["line 1", "expected"]),
    "no sample": ([], ["empty"]),
}


@pytest.mark.parametrize("name", BAD_EVALSETS)
def test_a_bad_eval_set_gets_a_sentence(
    name: str, cli: Callable[..., Outcome], store: Store
) -> None:
    rows, fragments = BAD_EVALSETS[name]
    path = store.layout.evalsets / "bad.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = tree(store.root)
    for args in (
        ("evalset", "check", "bad"),
        ("evalset", "show", "bad"),
        ("eval", "untrained:nano", "--evalset", "bad"),
    ):
        outcome = cli(*args)
        assert outcome.code == 2
        for fragment in ["bad.jsonl", *fragments]:
            assert fragment in outcome.err
    assert tree(store.root) == before


BAD_COMMANDS = {
    "a category that no sample has": (
        ["evalset", "show", "sums", "--category", "additions"],
        ["additions", "addition, subtraction"],
    ),
    "comparing a category that no sample has": (
        ["run", "compare", "{before}", "{after}", "--category", "x"],
        ["x", "addition, subtraction"],
    ),
    "a metric that does not exist": (
        ["run", "compare", "{before}", "{after}", "--metric", "bleu"],
        ["bleu", "avg_score, answered, finished"],
    ),
    "more responses than were drawn": (
        ["run", "compare", "{before}", "{after}", "--metric", "pass@4"],
        ["pass@4 needs at least 4 responses to each sample", "--draws 4"],
    ),
    "a gate below nothing": (
        ["run", "compare", "{before}", "{after}", "--fail-below", "-1"],
        ["--fail-below"],
    ),
    "comparing a training run": (
        ["run", "compare", "{trained}", "{after}"],
        ["only evaluations are compared", "tunixrt eval"],
    ),
    "a judge that does not exist": (
        ["eval", "untrained:nano", "--evalset", "sums", "--judge", "kind"],
        ["kind", "exact, exact-first, math-verify, reasoning-gym and verbatim"],
    ),
    "an eval set that does not exist": (["evalset", "check", "sum"], ["sum", "sums"]),
    "a split without a dataset": (
        ["evalset", "check", "sums", "--split", "train"],
        ["--split has no effect here: it goes with --dataset"],
    ),
    "a leaderboard of no eval set": (["run", "list", "--evalset", "gsm"], ["gsm", "sums"]),
    "a name that is no name": (
        ["run", "promote", "{before}", "--as", "My Baseline"],
        ["My Baseline", "my-baseline"],
    ),
    "an unknown name": (["run", "show", "basline"], ["basline", "6 hex digits"]),
}


@pytest.mark.parametrize("name", BAD_COMMANDS)
def test_a_bad_command_about_runs_gets_a_sentence_and_writes_nothing(
    name: str, cli: Callable[..., Outcome], store: Store, runs: Runs
) -> None:
    args, fragments = BAD_COMMANDS[name]
    ids = {"trained": runs[0].run_id, "before": runs[1].run_id, "after": runs[2].run_id}
    before = tree(store.root)
    outcome = cli(*(arg.format(**ids) for arg in args))
    assert outcome.code == 2, outcome
    for fragment in fragments:
        assert fragment in outcome.err
    assert tree(store.root) == before


def test_runs_over_different_judges_are_compared_only_on_request(
    cli: Callable[..., Outcome], store: Store, runs: Runs
) -> None:
    other = made_evaluation(store, runs[0], n_right=15, judge="verbatim")
    refused = cli("run", "compare", runs[2].run_id, other.run_id)
    assert refused.code == 2
    assert "the judge differs (exact 2 against verbatim 2)" in refused.err
    assert cli("run", "compare", runs[2].run_id, other.run_id, "--allow-differences").code == 0


def test_a_run_that_is_not_finished_gets_a_sentence(
    cli: Callable[..., Outcome], store: Store, runs: Runs
) -> None:
    run_id = runs[0].run_id
    (store.layout.runs / run_id / "manifest.json").unlink()
    for args in (("run", "show", run_id), ("eval", run_id, "--evalset", "sums")):
        outcome = cli(*args)
        assert outcome.code == 2
        assert "is not finished" in outcome.err
    assert f"runs without a manifest: {run_id[:12]}" in cli("status").out


def test_how_many_samples_are_needed_to_see_a_difference(cli: Callable[..., Outcome]) -> None:
    """Connor (1987), as the public calculators work it out: see tests/eval/test_statistics.py."""
    one = cli("evalset", "size", "--difference", "15", "--changed", "45")
    assert one.out.split()[-2:] == ["45", "155"]
    sizes = cli("evalset", "size", "--difference", "7", "--power", "0.9", "--json").document[
        "sizes"
    ]
    assert [row["changed"] for row in sizes] == [7, 10, 20, 30, 50]
    needed = [row["n_samples"] for row in sizes]
    assert needed == sorted(needed)
    for args, fragment in (
        (("--difference", "5", "--changed", "4"), "at least as many of 100 samples"),
        (("--difference", "5", "--power", "0.7"), "The power 0.7 is not supported"),
        (("--difference", "0"), "--difference"),
    ):
        refused = cli("evalset", "size", *args)
        assert refused.code == 2
        assert fragment in refused.err


def test_a_store_without_eval_sets_says_where_they_go(
    cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert cli("init", "empty").code == 0
    listed = cli("evalset", "list", "--store", "empty")
    assert listed.out == "(none)\n"
    assert "NAME.jsonl" in listed.err
    for args in (
        ("evalset", "check", "sums"),
        ("eval", "untrained:nano", "--evalset", "sums"),
    ):
        outcome = cli(*args, "--store", "empty")
        assert outcome.code == 2
        assert "None exists yet" in outcome.err


def test_a_site_is_built_and_built_again(
    cli: Callable[..., Outcome], store: Store, runs: Runs, tmp_path: Path
) -> None:
    built = cli("site", "build", "-o", "public", "--title", "Our sums")
    assert built.out.strip() == "public/index.html"
    assert "24 traces" in built.err
    assert "<h1>Our sums</h1>" in (tmp_path / "public" / "index.html").read_text()
    document = cli("site", "build", "-o", "public", "--json").document
    assert (document["n_traces"], document["directory"]) == (24, "public")
    checked = cli("site", "build", "-o", "public", "--check", "--json").document
    assert checked == document
    other = cli("site", "build", "-o", "public", "--title", "Other sums", "--check")
    assert other.code == 1
    assert 'site.json: identity.title was "tunixrt store", is "Other sums".' in other.err
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("important")
    refused = cli("site", "build", "-o", "thesis")
    assert refused.code == 2
    assert "was not made by `tunixrt site build`" in refused.err


def test_predictions_come_back_as_traces_and_training_on_them_is_found_out(
    cli: Callable[..., Outcome], store: Store, runs: Runs
) -> None:
    path = f"runs/{runs[2].run_id}/predictions.jsonl"
    done = cli("trace", "import", path, "--from", "predictions", "--json").document
    assert (done["recorded"], done["rejected"]) == (20, 0)
    again = cli("trace", "import", path, "--from", "predictions", "--json").document
    assert (again["recorded"], again["duplicates"]) == (0, 20)
    build = ("dataset", "build", "own", "v1", "--where", "source=evaluation")
    assert cli(*build, "--where", "correct=true", "--json").document["trace_count"] == 13
    found = cli("evalset", "check", "sums", "--dataset", "own-v1", "--json")
    assert found.code == 1
    assert found.document["contamination"]["n_exact"] == 13


def test_two_ways_of_training_are_compared_and_reported_seed_by_seed(
    cli: Callable[..., Outcome], store: Store, tmp_path: Path
) -> None:
    trained = [made_training(store, seed=seed) for seed in range(4)]
    ids = [
        made_evaluation(store, training, n_right=n).run_id[:12]
        for training, n in zip(trained, (3, 5, 15, 17), strict=True)
    ]
    before, after = ",".join(ids[:2]), ",".join(ids[2:])
    shown = cli("run", "compare", before, after)
    assert [line.split() for line in shown.out.splitlines()[2:4]] == [
        ["1", "20", "15.0", "65.0", "+50.0"],
        ["2", "20", "25.0", "75.0", "+50.0"],
    ]
    assert "better: avg_score 20.0 to 70.0, +50.0 points" in shown.out
    document = cli("run", "compare", before, after, "--json").document
    assert document["delta"] == 50.0
    assert [pair["delta"] for pair in document["pairs"]] == [50.0, 50.0]
    assert cli("run", "compare", after, before, "--fail-below", "5").code == 1
    unequal = cli("run", "compare", before, ids[2])
    assert unequal.code == 2
    assert "2 runs on one side and 1 on the other" in unequal.err
    written = cli("report", before, after, "-o", str(tmp_path / "out"))
    assert written.code == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert f"tunixrt report {before} {after}\n" in text
    assert "| 1 and" not in text
    checked = cli("report", before, after, "-o", str(tmp_path / "out"), "--check")
    assert (checked.code, checked.out) == (0, written.out)
    assert cli("report", before, "-o", str(tmp_path / "out"), "--check").code == 2
    assert "Name both runs" in cli("report").err
    compared = cli("run", "compare", before, after, "-o", "compared")
    assert (compared.code, compared.out) == (0, shown.out)
    assert cli("run", "compare", before, after, "-o", "compared", "--check").out == shown.out
    other = cli("run", "compare", after, before, "-o", "compared", "--check")
    assert other.code == 1
    assert "comparison.json: identity.a.0 was " in other.err
    assert "goes with -o DIR" in cli("run", "compare", before, after, "--check").err
    # Without runs, those that the report states.
    checked = cli("report", "-o", str(tmp_path / "out"), "--check")
    assert (checked.code, checked.out) == (0, written.out)
    (tmp_path / "out" / "report.md").write_text(text + "More.\n")
    refused = cli("report", before, after, "-o", str(tmp_path / "out"), "--check")
    assert refused.code == 1
    assert "the first difference: report.md, line 487: one of the two ends here." in refused.err
    assert (tmp_path / "out" / "report.md").read_text().endswith("More.\n")


def test_a_run_that_cannot_be_made_again_exits_1_and_says_why(
    cli: Callable[..., Outcome], store: Store
) -> None:
    trained = made_training(store)
    member = next(m.trace for m in store.datasets["sums-v1"].members() if m.split == "train")
    redact(store.log, [member])
    outcome = cli("reproduce", trained.run_id)
    assert outcome.code == 1
    assert "not reproducible: 1 redacted member of sums-v1." in outcome.err
    assert outcome.out.splitlines()[-1] == "not reproducible: 1 run, 0 files compared."
    document = cli("reproduce", "--all", "--json").document
    assert (document["verdict"], document["first_difference"]) == ("not reproducible", None)
    # The store itself is sound: verification says what it could not derive, and passes.
    verified = cli("verify", "--rebuild")
    assert verified.code == 0
    assert "1 redacted member" in verified.err
