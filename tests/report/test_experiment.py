"""The report on two ways of training with several seeds each."""

from __future__ import annotations

import msgspec
import pytest

from tests.making.hostile import HOSTILE
from tests.making.views import N_SAMPLES, contamination, experiment, pair, view
from tests.report.page_rules import Page
from tunixrt.eval.compare.conditions import ConditionDifference
from tunixrt.report import Experiment, render_report


@pytest.fixture(scope="module")
def three() -> Experiment:
    return experiment(pair(0, 5, 19), pair(1, 4, 22), pair(2, 7, 13))


def markdown(report: Experiment) -> str:
    return render_report(report)["report.md"].decode()


def test_the_report_begins_with_the_answer(three: Experiment) -> None:
    lines = markdown(three).splitlines()
    assert lines[0] == "# nano trained on sums-v1 → nano trained on sums-v1, 3 seeds each"
    assert lines[2].startswith("**Better: +52.8 points (95% interval +")
    assert "over 24 samples and 3 seeds. Interval: pigeonhole bootstrap" in lines[4]


def test_every_seed_has_a_row_and_a_place_in_the_chart(three: Experiment) -> None:
    files = render_report(three)
    assert {"loss.svg", "report.html", "report.md", "scores.svg"} <= files.keys()
    text = files["report.md"].decode()
    for seed, before, after in ((0, "20.8", "79.2"), (1, "16.7", "91.7"), (2, "29.2", "54.2")):
        assert f"| seed {seed} | {before} | {after} |" in text
        assert f">seed {seed}</text>" in files["scores.svg"].decode()


def test_every_run_is_named_with_its_weights_and_how_to_check_it(three: Experiment) -> None:
    text = markdown(three)
    for made in three.pairs:
        for run in (made.before, made.after):
            assert run.manifest.weights in text
            assert run.training is not None
            assert f"tunixrt reproduce {run.training.run_id[:12]}\n" in text
    before = ",".join(made.before.run_id[:12] for made in three.pairs)
    after = ",".join(made.after.run_id[:12] for made in three.pairs)
    assert f"tunixrt report {before} {after}\n" in text


def test_pairs_without_one_seed_are_called_by_their_runs() -> None:
    bare = view()
    text = markdown(experiment(bare))
    assert f"| {bare.before.run_id[:12]} and {bare.after.run_id[:12]} |" in text


def test_limits_tell_of_seeds_contamination_and_differences(three: Experiment) -> None:
    assert "No sample of the eval set is in the training data of 6 of 6 trained models" in markdown(
        three
    )
    first, second, third = three.pairs
    known = msgspec.structs.replace(first.after, contamination=contamination(n_exact=3))
    unknown = msgspec.structs.replace(second.after, contamination=None)
    odd = msgspec.structs.replace(
        third.comparison, differences=(ConditionDifference(what="judge", a="exact 1", b="exact 2"),)
    )
    text = markdown(
        experiment(
            first._replace(after=known),
            second._replace(after=unknown),
            third._replace(comparison=odd),
        )
    )
    assert "3 seeds on each side" in text
    assert f"{known.run_id[:12]}: 3 of 24 samples of the eval set are in the training data" in text
    assert "of 4 of 6 trained models" in text
    assert "Of 1 model it was not checked" in text
    assert "Runs were compared although the judge differs (exact 1 against exact 2)." in text


def test_hostile_text_stays_text() -> None:
    texts = tuple(t for t in HOSTILE[:N_SAMPLES] if t.strip())
    page = Page()
    page.feed(render_report(experiment(pair(0, 5, 19, texts)))["report.html"].decode())
    assert not {"script", "img", "a", "iframe", "link"} & set(page.tags)
    assert not {name for name, _ in page.attributes if name.startswith("on")}
