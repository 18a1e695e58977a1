"""The pages of a site that show one run, or compare two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunixrt.eval.judge.not_text import legible_quotes
from tunixrt.report.blocks import Bullets, CodeSpan, Heading, Link, Paragraph, Plain, Table
from tunixrt.report.escape import html_lines, html_text, shortened
from tunixrt.report.html import render_blocks
from tunixrt.report.numbers import count, decimal, interval
from tunixrt.report.sections.checks import (
    commands_block,
    contamination_sentences,
    overlong_sentences,
)
from tunixrt.report.sections.results import build_document
from tunixrt.report.sections.training import training_blocks
from tunixrt.report.site.pages import facts, figures, leaderboards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.report.blocks import Block, Inlines
    from tunixrt.report.sections.view import ReportView
    from tunixrt.report.site.view import EvaluationView, TrainingRunView
    from tunixrt.runs.identity import Draws
    from tunixrt.runs.lines import Prediction
    from tunixrt.runs.manifests import EvaluationResults

_N_PREDICTIONS: Final = 200
_MAX_RESPONSE: Final = 2_000
_MAX_SHOWN: Final = 120


def comparison_page(view: ReportView) -> tuple[str, str]:
    """The report on two evaluations, as the heading and the body of a page of the site."""
    links = Paragraph(
        (
            Plain("Before: "),
            Link(view.before.run_id[:12], f"../runs/{view.before.run_id}.html"),
            Plain(" · After: "),
            Link(view.after.run_id[:12], f"../runs/{view.after.run_id}.html"),
        )
    )
    document = build_document(view)
    return document.title, render_blocks((links, *document.blocks))


def evaluation_body(view: EvaluationView, results: EvaluationResults) -> str:
    """One evaluation: figures, categories, identity, comparisons, predictions."""
    run, row = view.run, view.row
    low, high = results.interval
    identity = run.evaluation
    blocks: list[Block] = [Heading(2, (Plain("By category"),)), _categories(results)]
    blocks.append(Heading(2, (Plain("Training data"),)))
    blocks.append(_training_data(view))
    if view.comparisons:
        blocks += [Heading(2, (Plain("Compared with other runs"),)), _comparisons(view)]
    if view.commands:
        listing = commands_block("Commands:", view.commands)
        blocks += [Heading(2, (Plain("Reproduce it"),)), listing]
    model: Inlines = (Plain(run.model),)
    if row.model is not None and run.training is not None:
        model = (Link(run.model, f"{row.model}.html"),)
    return (
        figures(
            ("average score, 0 to 100", decimal(results.avg_score, 1)),
            ("95% interval", interval(low, high)),
            ("right", f"{results.n_correct:,} of {results.results_count:,}"),
            *_drawn_figures(results),
        )
        + facts(
            *((("Names", (Plain(", ".join(row.names)),)),) if row.names else ()),
            ("Model", model),
            ("Eval set", (Link(run.evalset_name, f"../evalsets/{run.evalset_name}.html"),)),
            ("Run", (CodeSpan(run.run_id),)),
            ("Weights", (CodeSpan(run.weights),)),
            ("Eval set digest", (CodeSpan(identity.evalset),)),
            ("Judge", (CodeSpan(f"{identity.judge.name} {identity.judge.version}"),)),
            ("Template", (CodeSpan(f"{identity.template.format} {identity.template.version}"),)),
            ("Token limit", (Plain(f"{identity.max_new_tokens:,}"),)),
            ("Generation", (Plain(_generation(identity.draws)),)),
            ("Numeric mode", (CodeSpan(run.numeric_mode),)),
            *(
                ("Overlong prompts", (Plain(sentence),))
                for sentence in overlong_sentences(identity.overlong, "in this evaluation")
            ),
        )
        + render_blocks(blocks)
        + _predictions(view.predictions)
    )


def _drawn_figures(results: EvaluationResults) -> list[tuple[str, str]]:
    draws = results.draws
    if draws is None:
        return []
    k = f"{draws.n_draws}"
    return [
        (f"pass@{k}", decimal(draws.pass_at[k].score, 1)),
        ("majority vote", decimal(draws.majority.score, 1)),
    ]


def training_body(view: TrainingRunView) -> str:
    """One training run: identity, evaluations, loss, configuration, ledger."""
    row, training = view.row, view.training
    board = leaderboards(view.evaluations, root="../")
    return (
        facts(
            *((("Names", (Plain(", ".join(row.names)),)),) if row.names else ()),
            ("Run", (CodeSpan(row.run_id),)),
            ("Weights", (CodeSpan(row.weights_sha256 or ""),)),
            ("Dataset", (Plain(f"{training.dataset_key}, split {training.split}"),)),
            ("Dataset digest", (CodeSpan(training.dataset),)),
            *((name, (Plain(str(seed)),)) for name, seed in _seeds(training.seeds)),
        )
        + f"<h2>Evaluations</h2>\n{board or '<p>No evaluation yet.</p>'}\n"
        + render_blocks(training_blocks(training, subject="The model"))
    )


def _generation(draws: Draws | None) -> str:
    return "greedy" if draws is None else f"{draws}, seed {draws.seed}"


def _seeds(seeds: dict[str, int]) -> list[tuple[str, int]]:
    return [(f"Seed of {name}", seed) for name, seed in seeds.items()]


def _categories(results: EvaluationResults) -> Table:
    return Table(
        label="Score by category",
        head=("Category", "Right", "Score", "95% interval"),
        rows=tuple(
            (
                (Plain(name),),
                (Plain(f"{c.n_correct:,} of {c.n:,}"),),
                (Plain(decimal(c.avg_score, 1)),),
                (Plain(interval(*c.interval)),),
            )
            for name, c in results.categories.items()
        ),
        numeric=frozenset({1, 2, 3}),
    )


def _training_data(view: EvaluationView) -> Bullets:
    if view.run.training is None and view.run.contamination is None:
        sentences = [
            "No training run of this model is in this store, so its training data is unknown."
        ]
        if view.run.model.startswith("untrained"):
            sentences = ["The model was not trained, so it has seen none of the samples."]
    else:
        sentences = list(contamination_sentences(view.run.contamination))
    return Bullets(tuple((Plain(sentence),) for sentence in sentences))


def _comparisons(view: EvaluationView) -> Table:
    rows = []
    for c in view.comparisons:
        is_after = c.after == view.row.run_id
        other = c.before if is_after else c.after
        rows.append(
            (
                (Link(other[:12], f"../compare/{c.page}.html"),),
                (Plain("this run is after" if is_after else "this run is before"),),
                (Plain(f"{c.comparison.verdict}"),),
                (Plain(f"{c.comparison.delta:+.1f}".replace("-", "−")),),
            )
        )
    return Table(
        label="Comparisons",
        head=("Other run", "Order", "The run after is", "Points"),
        rows=tuple(rows),
        numeric=frozenset({3}),
    )


def _predictions(predictions: Sequence[Prediction]) -> str:
    shown = predictions[:_N_PREDICTIONS]
    n = len(predictions)
    first = f"The first {len(shown):,} of {n:,}; all of them" if len(shown) < n else "All of them"
    n_draws = max((p.draw for p in predictions if p.draw is not None), default=-1) + 1
    items = "".join(_prediction(prediction, n_draws) for prediction in shown)
    return (
        f"<h2>{html_text(count(n, 'prediction'))}</h2>\n<p>{first} are in the run's "
        f"<code>predictions.jsonl</code>.</p>\n{items}"
    )


def _prediction(prediction: Prediction, n_draws: int) -> str:
    drawn = ""
    if prediction.draw is not None:
        drawn = f' <span class="tag">response {prediction.draw + 1} of {n_draws}</span>'
    tag, word = ("good", "right") if prediction.correct else ("bad", "wrong")
    answer = prediction.parsed_answer
    found = "no answer" if answer is None else shortened(answer, _MAX_SHOWN)
    question = html_text(shortened(prediction.prompt, _MAX_SHOWN))
    expected = html_text(shortened(prediction.expected_response, _MAX_SHOWN))
    response = html_lines(shortened(prediction.generated_response, _MAX_RESPONSE))
    whole = ""
    if len(prediction.prompt) > _MAX_SHOWN:
        prompt = html_lines(shortened(prediction.prompt, _MAX_RESPONSE))
        whole = (
            '<p class="label">Prompt:</p>\n<pre tabindex="0" role="region" aria-label="Prompt">'
            f"{prompt}</pre>\n"
        )
    return (
        f'<details class="prediction">\n<summary><span class="tag {tag}">{word}</span> {question}'
        f"{drawn}</summary>\n"
        f"<p>Answer: <code>{html_text(found)}</code>, expected <code>{expected}</code>. "
        f"{html_text(legible_quotes(prediction.reason))}</p>\n{whole}"
        f'<p class="label">Response ({html_text(count(prediction.n_tokens, "token"))}, stopped by '
        f"{html_text(prediction.stop_reason)}):</p>\n"
        f'<pre tabindex="0" role="region" aria-label="Response">{response}</pre>\n</details>\n'
    )
