from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from markdown_it import MarkdownIt

from tests.making.hostile import HOSTILE
from tests.making.views import (
    N_SAMPLES,
    changed_identity,
    contamination,
    digest,
    experiment,
    pair,
    paired,
    samples,
    training,
    view,
)
from tests.report.page_rules import Page
from tunixrt.eval.compare.conditions import ConditionDifference
from tunixrt.log.digests import digest_bytes
from tunixrt.report import TEMPLATE, Pair, render_report
from tunixrt.report.blocks import Chart, Heading
from tunixrt.report.html import render_blocks
from tunixrt.report.sections.choosing import Outcome, choose_samples
from tunixrt.report.sections.results import build_document
from tunixrt.report.site.frame import SCRIPT_NAME, SITE_TEMPLATE, frame, site_css
from tunixrt.report.site.pages import evalset_blocks, index_blocks, runs_blocks
from tunixrt.report.site.run_pages import (
    comparison_document,
    evaluation_blocks,
    prediction_details,
    training_run_blocks,
)
from tunixrt.report.site.traces import TraceCounts, trace_pages
from tunixrt.runs.identity import Judge
from tunixrt.runs.leaderboard import RunRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tunixrt.runs.lines import LedgerLine
    from tunixrt.runs.manifests import ContaminationManifest


def markdown(report: Pair) -> str:
    return render_report(report)["report.md"].decode()


def headings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#")]


def test_a_report_is_markdown_a_page_and_its_charts() -> None:
    files = render_report(view())
    assert list(files) == [
        "learning_rate.svg",
        "loss.svg",
        "report.html",
        "report.md",
        "scores.svg",
    ]
    text = files["report.md"].decode()
    assert "](loss.svg)" in text
    assert "](learning_rate.svg)" in text
    assert "](scores.svg)" in text


def test_the_first_lines_are_the_verdict_with_its_interval() -> None:
    lines = markdown(view()).splitlines()
    assert lines[0] == "# untrained nano → nano trained on sums-v1"
    assert lines[2] == "**Better: +58.3 points (95% interval +36.5 to +75.5; p < 0.001)**"
    assert lines[4] == (
        "The average score on `arithmetic_v1` went from 20.8 to 79.2 of 100 on 24 samples: "
        "14 were fixed, 0 broke, 5 stayed right and 5 stayed wrong. Interval: Tango score; test: "
        "McNemar mid-p."
    )


@pytest.mark.parametrize(
    ("n_before", "n_after", "headline", "tone"),
    [
        (19, 5, "**Worse: −58.3 points (95% interval −75.5 to −36.5; p < 0.001)**", "bad"),
        (10, 11, "**No clear difference: +4.2 points (95% interval", "neutral"),
        (5, 19, "**Better: ", "good"),
    ],
)
def test_the_verdict_may_be_bad_news_or_none(
    n_before: int, n_after: int, headline: str, tone: str
) -> None:
    files = render_report(view(n_before=n_before, n_after=n_after))
    assert headline in files["report.md"].decode()
    assert f'class="verdict {tone}"' in files["report.html"].decode()


def test_a_difference_that_only_the_headlines_test_sees_is_not_claimed() -> None:
    text = markdown(view(n_before=5, n_after=10))
    assert "**No clear difference: +20.8 points (95% interval +" in text
    assert "p = 0.031)**" in text
    assert "The interval excludes 0, but by McNemar's exact test p = 0.062:" in text
    assert "exact test" not in markdown(view())


def test_the_sections_are_those_of_a_readers_questions() -> None:
    found = [line for line in headings(markdown(view())) if line.startswith("## ")]
    assert found == [
        "## Results",
        "## By category",
        "## Samples",
        "## Training",
        "## What was run",
        "## How to check this",
        "## Limits",
    ]


def test_everything_that_decides_the_bits_is_in_the_identity_table() -> None:
    report = view()
    text = markdown(report)
    for fact in (
        report.before.run_id,
        report.after.run_id,
        report.before.manifest.weights,
        report.after.manifest.weights,
        report.before.manifest.evalset,
        digest("dataset"),
        digest("text"),
        digest("sources"),
    ):
        assert f"`{fact}`" in text
    assert "| Judge | `exact 1` | `exact 1` | same |" in text
    assert "| Template | `tunix_sft 1` | `tunix_sft 1` | same |" in text
    assert "| Seed order of examples | none | `7` | differs |" in text
    assert "| Version of jax | `0.10.2` | `0.10.2` | same |" in text
    assert "| Numeric mode | `portable` | `portable` | same |" in text


def test_the_commands_check_the_very_runs() -> None:
    report = view()
    text = markdown(report)
    before, after = report.before.run_id[:12], report.after.run_id[:12]
    assert report.after.training is not None
    trained = report.after.training.run_id[:12]
    for line in (
        f"tunixrt eval {trained} --evalset arithmetic_v1 --max-new-tokens 240",
        "tunixrt eval untrained:nano --evalset arithmetic_v1 --max-new-tokens 240",
        "tunixrt verify --rebuild",
        f"tunixrt reproduce {trained}",
        f"tunixrt reproduce {before}",
        f"tunixrt run compare {before} {after}",
        f"tunixrt report {before} {after}",
    ):
        assert f"\n{line}\n" in text


def test_samples_are_chosen_by_the_hash_of_their_ids() -> None:
    report = view()
    before, after = report.before.predictions, report.after.predictions
    chosen = choose_samples(before, after)
    assert chosen == choose_samples(tuple(reversed(before)), tuple(reversed(after)))
    fixed = [s.example_id for s in chosen if s.outcome is Outcome.FIXED]
    all_fixed = sorted(
        report.comparison.fixed, key=lambda name: hashlib.sha256(name.encode()).hexdigest()
    )
    assert fixed == all_fixed[:3]
    assert [s.outcome for s in chosen] == [Outcome.FIXED] * 3 + [Outcome.STAYED_WRONG] * 2 + [
        Outcome.STAYED_RIGHT
    ] * 2


def test_samples_that_only_one_run_has_are_not_shown() -> None:
    predictions = view().before.predictions
    assert choose_samples(predictions[:1], predictions[1:]) == ()
    broken = choose_samples(
        predictions, [msgspec.structs.replace(p, correct=not p.correct) for p in predictions]
    )
    assert {sample.outcome for sample in broken} == {Outcome.FIXED, Outcome.BROKEN}


def test_each_sample_shows_prompt_expected_answer_both_responses_and_the_judges_reason() -> None:
    text = markdown(view())
    part = text[text.index("### Fixed: ") :]
    part = part[: part.index("### Fixed: ", 5)]
    assert part == (
        "### Fixed: `eval-009`\n\n"
        "Expected answer: `25`; category `addition`, difficulty `hard`.\n\n"
        "Prompt:\n\n```text\nWhat is 9 + 16?\n```\n\n"
        "**Before**\n\n"
        "**Wrong**. Answer: `10` (2 steps, 24 tokens, stopped by `end_of_turn`).\n\n"
        'Judge: The answer "10" is not the expected "25": the numbers differ.\n\n'
        "Response:\n\n```text\nReasoning:\n1. Add the ones: 9\n2. Carry\nAnswer: 10\n```\n\n"
        "**After**\n\n"
        "**Right**. Answer: `25` (2 steps, 24 tokens, stopped by `end_of_turn`).\n\n"
        'Judge: The answer "25" is the expected answer, character by character.\n\n'
        "Response:\n\n```text\nReasoning:\n1. Add the ones: 9\n2. Carry\nAnswer: 25\n```\n\n"
        "From before (-) to after (+):\n\n```diff\n"
        "  Reasoning:\n  1. Add the ones: 9\n  2. Carry\n- Answer: 10\n+ Answer: 25\n```\n\n"
    )


def test_drawn_responses_without_an_answer_have_no_vote() -> None:
    report = view()
    silent = [
        msgspec.structs.replace(p, draw=n, parsed_answer=None, correct=False, score=0.0)
        for p in report.before.predictions
        for n in range(2)
    ]
    before = msgspec.structs.replace(report.before, predictions=tuple(silent))
    text = markdown(report._replace(before=before))
    assert "**0 of 2** responses are right and none has an answer." in text
    assert "- 2: wrong, none" in text


def test_a_difference_is_coloured_on_the_page_and_absent_where_there_is_none() -> None:
    page = render_report(view())["report.html"].decode()
    assert "<del>- Answer: 10</del>" in page
    assert "<ins>+ Answer: 25</ins>" in page
    same = view(n_before=N_SAMPLES, n_after=N_SAMPLES)
    assert "From before" not in markdown(same)


def test_the_loss_stands_in_a_table_at_fixed_steps() -> None:
    text = markdown(view())
    steps = re.findall(r"^\| (\d+) \| [\d.]+ \| [\d.]+ \| [\d.]+ \|$", text, re.MULTILINE)
    assert steps == ["1", "14", "27", "40", "53", "67", "80", "93", "106", "120"]
    one = view(n_steps=1)
    assert re.findall(
        r"^\| (\d+) \| [\d.]+ \| [\d.]+ \| [\d.]+ \|$", markdown(one), re.MULTILINE
    ) == ["1"]


def test_the_validation_loss_is_in_a_table_where_it_was_computed() -> None:
    assert "Validation loss" not in markdown(view())
    report, found = view(), training()
    metrics = tuple(
        line if line.step % 60 else msgspec.structs.replace(line, validation_loss=line.step / 8)
        for line in found.metrics
    )
    after = msgspec.structs.replace(
        report.after, training=msgspec.structs.replace(found, metrics=metrics)
    )
    text = markdown(report._replace(after=after))
    _, _, table = text.partition("| Step | Validation loss |\n| --: | --: |\n")
    assert table.startswith("| 60 | 7.5 |\n| 120 | 15 |\n\n")


def test_every_record_that_was_not_kept_is_listed_with_its_reason() -> None:
    text = markdown(view())
    assert "was trained for 120 steps on 30 records of `sums-v1` (split `train`)" in text
    assert "Of 32 records: 30 kept, 1 dropped, 0 truncated, 1 redacted." in text
    assert "Reasons: 300 tokens, and the limit is 256 (1); redacted (1)." in text
    assert (
        f"| `{digest('a')[7:23]}` | dropped | 300 tokens, and the limit is 256 | 300 | 0 | 0 |"
        in text
    )
    assert (
        "Every record that was not kept whole is listed, and 20 kept records; 10 more were kept."
        in text
    )


def test_a_ledger_without_losses_says_so() -> None:
    report, whole = view(), training()
    kept = tuple(row for row in whole.ledger if row.outcome == "kept")[:3]

    def with_ledger(ledger: tuple[LedgerLine, ...]) -> str:
        changed = msgspec.structs.replace(whole, ledger=ledger, metrics=())
        after = msgspec.structs.replace(report.after, training=changed)
        return markdown(report._replace(after=after))

    text = with_ledger(kept)
    assert "Of 3 records: 3 kept, 0 dropped, 0 truncated, 0 redacted. Nothing was omitted." in text
    assert "were not kept whole." not in text
    assert "### Loss" not in text
    text = with_ledger(())
    assert "Of 0 records" in text
    assert "<summary>Records" not in text


def test_the_limits_name_what_the_numbers_do_not_say() -> None:
    report = view()
    text = markdown(report)
    for sentence in (
        "- To find a difference of this size again with a probability of 80%, about ",
        "- 3 of 3 categories have fewer than 10 samples; their scores say little.",
        (
            "- Before, 2 of 24 responses were cut off at 240 tokens; an answer that may have been "
            "cut is wrong."
        ),
        "- One training run with one seed: ",
        (
            "- No sample of the eval set is in the training data: no prompt word for word or but "
            "for case, spaces and punctuation, and none with at least 70% of its 8-grams of words; "
            "compared with 32 prompts."
        ),
        "- 2 records (6.2%) of the training data were not kept whole.",
        "- The judge compares final answers by value ",
    ):
        assert sentence in text, sentence
    assert "Numeric mode fast" not in text


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (None, "- Whether samples of the eval set are in the training data was not checked."),
        (
            contamination(n_exact=1, n_normalised=2, n_overlap=3),
            "- 6 of 24 samples of the eval set are in the training data: 1 word for word, 2 but ",
        ),
        (contamination(complete=False), "- Training started from external weights, "),
    ],
)
def test_an_eval_set_in_the_training_data_is_named(
    found: ContaminationManifest | None, sentence: str
) -> None:
    report = view()
    fast = changed_identity(report.after, numeric_mode="fast")
    text = markdown(report._replace(after=msgspec.structs.replace(fast, contamination=found)))
    assert sentence in text
    assert "- Numeric mode fast: " in text


def test_runs_that_differ_in_more_than_the_model_say_so() -> None:
    report = view()
    settings = report.after.manifest.responses.generation
    after = changed_identity(
        msgspec.structs.replace(
            report.after, predictions=report.after.predictions[:20], training=None
        ),
        generation=msgspec.structs.replace(settings, max_new_tokens=64),
    )
    different = paired(report.before, after, allow_differences=True)
    assert different.comparison.differences == (
        ConditionDifference("limit of new tokens", "240", "64"),
    )
    text = markdown(different)
    assert (
        "- The runs were compared although the limit of new tokens differs (240 against 64)."
        in text
    )
    assert "- Not compared: 4 samples that only the run before has, 0 samples that only" in text
    assert "No training run of the model after is known." in text
    assert "tunixrt eval DIR --evalset arithmetic_v1 --max-new-tokens 64\n" in text


def test_two_equal_runs_need_no_sample_size() -> None:
    text = markdown(view(n_before=7, n_after=7))
    assert "**No clear difference: 0.0 points" in text
    assert "To find a difference" not in text


def test_large_categories_need_no_warning() -> None:
    report = view()
    categories = {
        name: msgspec.structs.replace(result, n_pairs=10)
        for name, result in report.comparison.categories.items()
    }
    comparison = msgspec.structs.replace(report.comparison, categories=categories)
    text = markdown(report._replace(comparison=comparison))
    assert "fewer than 10 samples" not in text
    one = msgspec.structs.replace(categories["addition"], n_pairs=9)
    comparison = msgspec.structs.replace(comparison, categories=categories | {"addition": one})
    text = markdown(report._replace(comparison=comparison))
    assert "- 1 of 3 categories has fewer than 10 samples; its score says little." in text


def test_hostile_text_in_every_field_changes_no_structure() -> None:
    parser = MarkdownIt("commonmark").enable("table")
    texts = HOSTILE[:N_SAMPLES]
    for start in range(0, len(HOSTILE) - N_SAMPLES, 7):
        texts = tuple(
            t for t in HOSTILE[start : start + N_SAMPLES] if t.strip() and "\ud800" not in t
        )
        files = render_report(view(texts=texts))
        tokens = parser.parse(files["report.md"].decode())
        html = [token.content.strip() for token in tokens if token.type == "html_block"]
        assert html == [
            "<details>\n<summary>Configuration (5 keys)</summary>",
            "</details>",
            "<details>\n<summary>Records (22 of 32)</summary>",
            "</details>",
        ]
        inlines = [child.type for token in tokens for child in token.children or []]
        assert set(inlines) <= {"text", "code_inline", "strong_open", "strong_close", "image"}
        assert inlines.count("image") == 3
        levels = [token.tag for token in tokens if token.type == "heading_open"]
        assert levels.count("h1") == 1
        assert levels.count("h2") == 7
        page = Page()
        page.feed(files["report.html"].decode())
        assert not {"script", "img", "a", "iframe", "link"} & set(page.tags)
        assert not {name for name, _ in page.attributes if name.startswith("on")}


def test_a_page_is_self_contained() -> None:
    html = render_report(view())["report.html"].decode()
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not re.search(r"https?://|@import|url\(", html)
    page = Page()
    page.feed(html)
    names = [value for name, value in page.attributes if name == "role"]
    assert names.count("img") == 3
    # What scrolls is reached by keyboard and has a name.
    assert html.count('role="region" tabindex="0" aria-label="') == names.count("region")


def test_markdown_and_page_say_the_same_headings() -> None:
    document = build_document(view())
    n = sum(isinstance(block, Heading) for block in document.blocks)
    files = render_report(view())
    assert len(headings(files["report.md"].decode())) - files["report.md"].count(b"\n# ") == n + 1
    assert len(re.findall(r"<h[123]>", files["report.html"].decode())) == n + 1
    assert [block.name for block in document.blocks if isinstance(block, Chart)] == [
        "scores",
        "loss",
        "learning_rate",
    ]


def digest_of(pieces: Iterable[bytes]) -> str:
    return hashlib.sha256(b"\0".join(pieces)).hexdigest()[:16]


def test_a_report_looks_as_its_template_says() -> None:
    """Other bytes from the same runs need another version: identities name it."""
    reports = (view(), experiment(pair(0, 5, 19), pair(1, 4, 22)))
    rendered = (data for report in reports for data in render_report(report).values())
    assert (TEMPLATE, digest_of(rendered)) == ("report-1", "e6b3dab667591366")


def test_a_site_looks_as_its_template_says() -> None:
    """As for reports; whole pages of each kind, in one frame, with style and script."""
    made = view()
    run, trained = made.after, made.after.training
    assert trained is not None
    results = run.manifest.results
    row = RunRow(
        run_id=run.run_id,
        kind="evaluation",
        names=["best"],
        what="nano",
        result="",
        weights_sha256=run.manifest.weights,
        metrics=results,
        evalset="arithmetic_v1",
        judge="exact 1",
        n_contaminated=2,
    )
    counts = TraceCounts(4, 3, 2, 1)
    blocks = [
        *index_blocks(counts, (), (samples(),), (row,), ("Decide.",)),
        *runs_blocks((row,), (made,)),
        *evalset_blocks(samples(), (row,)),
        *evaluation_blocks(run, row, (made,)),
        *training_run_blocks(trained, row, (row,)),
        *comparison_document(made).blocks,
    ]
    script = resources.files("tunixrt.report").joinpath(SCRIPT_NAME).read_text("utf-8")
    texts = [
        frame("T", render_blocks(blocks), site="S", foot="F", script=True),
        *(body for _, _, body in trace_pages(counts)),
        site_css(),
        script,
    ]
    found = digest_of(text.encode() for text in texts)
    assert (SITE_TEMPLATE, found) == ("site-1", "6df35c884128d7ab")


SCRIPT = """
import hashlib, locale, os, time
time.tzset()
try:
    locale.setlocale(locale.LC_ALL, os.environ["LC_ALL"])
except locale.Error:
    pass
from tests.making.hostile import HOSTILE
from tests.making.views import view
from tunixrt.report import render_report
texts = tuple(t for t in HOSTILE[:24] if t.strip())
for report in (view(), view(texts=texts)):
    for name, data in render_report(report).items():
        print(name, hashlib.sha256(data).hexdigest())
"""


def test_two_processes_write_the_same_bytes_whatever_hash_seed_zone_and_locale() -> None:
    root = Path(__file__).parents[2]
    outputs = []
    for seed, zone, language in (("0", "UTC", "C"), ("4711", "Pacific/Kiritimati", "de_DE.UTF-8")):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "TZ": zone,
            "LC_ALL": language,
            "PYTHONPATH": str(root),
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=environment,
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") == 10


def test_the_report_layer_needs_no_numeric_package() -> None:
    code = (
        "import sys, tunixrt.report, tunixrt.eval.compare.pairs, tunixrt.eval.compare.statistics\n"
        "found = {'jax', 'numpy', 'flax', 'optax', 'safetensors', 'scipy'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_response_that_is_not_text_is_counted_and_not_printed() -> None:
    made = view()
    boxes = "\ufffd\x03a\ufffd" * 500
    garbage = tuple(
        msgspec.structs.replace(
            p,
            generated_response=boxes,
            parsed_answer=boxes,
            parsed_steps=(boxes,),
            reason=f'The answer "{boxes[:79]}…" is not the expected "42": the texts differ.',
        )
        for p in made.before.predictions
    )
    report = made._replace(before=msgspec.structs.replace(made.before, predictions=garbage))
    described = (
        "(not text: 2,000 characters, 1,000 of them not valid UTF-8, 500 of them control "
        "characters; begins ?? 03 61 ?? ?? 03 61 ?? ...)"
    )
    for text in (
        markdown(report),
        render_report(report)["report.html"].decode(),
        render_blocks(comparison_document(report).blocks),
        render_blocks((prediction_details(garbage[0], 1),)),
    ):
        assert "\ufffd" not in text
        assert "⟨U+0003⟩" not in text
        assert described in text


def test_a_sample_without_an_expected_answer_is_said_to_have_none() -> None:
    made = view()
    before, after = (
        msgspec.structs.replace(
            run,
            predictions=tuple(
                msgspec.structs.replace(p, expected_response=None) for p in run.predictions
            ),
        )
        for run in (made.before, made.after)
    )
    report = made._replace(before=before, after=after)
    assert "Expected answer: none; category" in markdown(report)
    details = prediction_details(before.predictions[0], 1)
    assert ", expected none. " in render_blocks((details,))


def test_the_limits_name_a_judge_that_compares_otherwise() -> None:
    made = view()
    assert "The judge compares final answers by value" in markdown(made)
    manifest = made.after.manifest
    judge = Judge("my_judges:strict", None, digest_bytes(b"source"))
    identity = msgspec.structs.replace(manifest.identity, judge=judge)
    after = msgspec.structs.replace(
        made.after, manifest=msgspec.structs.replace(manifest, identity=identity)
    )
    other = markdown(made._replace(after=after))
    assert "by value" not in other
    assert f"An answer is right if the judge {judge} accepts it." in other.replace("\\", "")
