"""The pages of a site that show one run, or compare two, as blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunixrt.eval.judge.not_text import legible_quotes
from tunixrt.report.blocks import (
    Bullets,
    CodeBlock,
    CodeSpan,
    Details,
    Document,
    Facts,
    Figures,
    Link,
    Paragraph,
    Table,
    Tag,
    Tone,
)
from tunixrt.report.escape import shortened
from tunixrt.report.numbers import count, decimal, interval, signed
from tunixrt.report.sections.checks import contamination_sentences, overlong_sentences
from tunixrt.report.sections.commands import commands_block, commands_of
from tunixrt.report.sections.results import build_document
from tunixrt.report.sections.training import training_blocks
from tunixrt.report.site.pages import comparison_name, evaluations_blocks, heading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.report.blocks import Block, Inline, Inlines
    from tunixrt.report.shown import Pair, ShownRun, ShownTraining
    from tunixrt.runs.identity import Draws
    from tunixrt.runs.leaderboard import RunRow
    from tunixrt.runs.lines import Prediction
    from tunixrt.runs.manifests import EvaluationResults

_N_PREDICTIONS: Final = 200
_MAX_RESPONSE: Final = 2_000
_MAX_SHOWN: Final = 120


def comparison_document(pair: Pair) -> Document:
    """The report on two evaluations, as a page of the site."""
    links = Paragraph(
        (
            "Before: ",
            Link(pair.before.run_id[:12], f"../runs/{pair.before.run_id}.html"),
            " · After: ",
            Link(pair.after.run_id[:12], f"../runs/{pair.after.run_id}.html"),
        )
    )
    document = build_document(pair)
    return Document(document.title, (links, *document.blocks))


def evaluation_blocks(run: ShownRun, row: RunRow, pairs: Sequence[Pair]) -> list[Block]:
    """One evaluation: figures, categories, identity, comparisons, predictions.

    Args:
        run: the evaluation.
        row: its row of the leaderboard.
        pairs: the comparisons that have pages; those with other runs only are left out.
    """
    results = run.manifest.results
    pairs = [pair for pair in pairs if row.run_id in (pair.before.run_id, pair.after.run_id)]
    compared: list[Block] = []
    if pairs:
        compared = [heading("Compared with other runs"), _comparisons(row.run_id, pairs)]
    return [
        Figures(
            (
                ("average score, 0 to 100", decimal(results.avg_score, 1)),
                ("95% interval", interval(*results.interval)),
                ("right", f"{results.n_correct:,} of {results.results_count:,}"),
                *_drawn_figures(results),
            )
        ),
        Facts(tuple(_facts(run, row))),
        heading("By category"),
        _categories(results),
        heading("Training data"),
        Bullets(tuple(_training_data(run))),
        *compared,
        heading("Reproduce it"),
        commands_block("Commands:", commands_of(run)),
        *_predictions(run.predictions),
    ]


def _facts(run: ShownRun, row: RunRow) -> list[tuple[str, Inlines]]:
    responses, judge = run.manifest.responses, run.manifest.identity.judge
    model: Inlines = run.model
    if run.training is not None:
        model = Link(run.model, f"{run.training.run_id}.html")
    return [
        *_names(row),
        ("Model", model),
        ("Eval set", Link(run.evalset, f"../evalsets/{run.evalset}.html")),
        ("Run", CodeSpan(run.run_id)),
        ("Weights", CodeSpan(run.manifest.weights)),
        ("Eval set digest", CodeSpan(responses.evalset)),
        ("Judge", CodeSpan(f"{judge}")),
        ("Template", CodeSpan(f"{responses.template.format} {responses.template.version}")),
        ("Token limit", f"{responses.generation.max_new_tokens:,}"),
        ("Generation", _generation(responses.generation.draws)),
        ("Numeric mode", CodeSpan(responses.numeric_mode)),
        *(
            ("Overlong prompts", sentence)
            for sentence in overlong_sentences(run.manifest.results.overlong, "in this evaluation")
        ),
    ]


def _names(row: RunRow) -> list[tuple[str, Inlines]]:
    return [("Names", ", ".join(row.names))] if row.names else []


def _drawn_figures(results: EvaluationResults) -> list[tuple[str, str]]:
    draws = results.draws
    if draws is None:
        return []
    k = f"{draws.n_draws}"
    return [
        (f"pass@{k}", decimal(draws.pass_at[k].score, 1)),
        ("majority vote", decimal(draws.majority.score, 1)),
    ]


def training_run_blocks(
    training: ShownTraining, row: RunRow, evaluations: Sequence[RunRow]
) -> list[Block]:
    """One training run: identity, evaluations of its model, loss, configuration, ledger."""
    identity = training.manifest.identity
    dataset = f"{training.dataset}, split {training.manifest.split}"
    return [
        Facts(
            (
                *_names(row),
                ("Run", CodeSpan(row.run_id)),
                ("Weights", CodeSpan(training.manifest.weights)),
                ("Dataset", dataset),
                ("Dataset digest", CodeSpan(identity.dataset)),
                *((f"Seed of {name}", seed) for name, seed in training.seeds.items()),
            )
        ),
        *evaluations_blocks("Evaluations", evaluations),
        *training_blocks(training, subject="The model"),
    ]


def _generation(draws: Draws | None) -> str:
    return "greedy" if draws is None else f"{draws}, seed {draws.seed}"


def _categories(results: EvaluationResults) -> Table:
    return Table(
        label="Score by category",
        head=("Category", "Right", "Score", "95% interval"),
        rows=tuple(
            (name, f"{c.n_correct:,} of {c.n:,}", decimal(c.avg_score, 1), interval(*c.interval))
            for name, c in results.categories.items()
        ),
        numeric=frozenset({1, 2, 3}),
    )


def _training_data(run: ShownRun) -> list[str]:
    if run.training is not None or run.contamination is not None:
        return list(contamination_sentences(run.contamination))
    if run.manifest.responses.untrained is not None:
        return ["The model was not trained, so it has seen none of the samples."]
    return ["No training run of this model is in this store, so its training data is unknown."]


def _comparisons(run_id: str, pairs: Sequence[Pair]) -> Table:
    rows = []
    for pair in pairs:
        is_after = pair.after.run_id == run_id
        other = pair.before if is_after else pair.after
        rows.append(
            (
                Link(other.run_id[:12], f"../compare/{comparison_name(pair)}.html"),
                ("this run is after" if is_after else "this run is before"),
                f"{pair.comparison.verdict}",
                signed(pair.comparison.delta, 1),
            )
        )
    return Table(
        label="Comparisons",
        head=("Other run", "Order", "The run after is", "Points"),
        rows=tuple(rows),
        numeric=frozenset({3}),
    )


def _predictions(predictions: Sequence[Prediction]) -> list[Block]:
    shown = predictions[:_N_PREDICTIONS]
    n = len(predictions)
    first = f"The first {len(shown):,} of {n:,}; all of them" if len(shown) < n else "All of them"
    n_draws = max((p.draw for p in predictions if p.draw is not None), default=-1) + 1
    where = (f"{first} are in the run's ", CodeSpan("predictions.jsonl"), ".")
    return [
        heading(count(n, "prediction")),
        Paragraph(where),
        *(prediction_details(prediction, n_draws) for prediction in shown),
    ]


def prediction_details(prediction: Prediction, n_draws: int) -> Details:
    """One prediction, collapsed to its question; ``n_draws`` is the number of responses drawn."""
    verdict = Tag("right", Tone.GOOD) if prediction.correct else Tag("wrong", Tone.BAD)
    summary: tuple[Inline, ...] = (verdict, f" {shortened(prediction.prompt, _MAX_SHOWN)}")
    if prediction.draw is not None:
        drawn = Tag(f"response {prediction.draw + 1} of {n_draws}")
        summary = (*summary, " ", drawn)
    answer = prediction.parsed_answer
    found = "no answer" if answer is None else shortened(answer, _MAX_SHOWN)
    whole = []
    if len(prediction.prompt) > _MAX_SHOWN:
        whole = [CodeBlock("Prompt:", shortened(prediction.prompt, _MAX_RESPONSE))]
    n_tokens = count(prediction.n_tokens, "token")
    expected = prediction.expected_response
    judged: tuple[Inline, ...] = (
        "Answer: ",
        CodeSpan(found),
        ", expected ",
        "none" if expected is None else CodeSpan(shortened(expected, _MAX_SHOWN)),
        f". {legible_quotes(prediction.reason)}",
    )
    return Details(
        summary,
        (
            Paragraph(judged),
            *whole,
            CodeBlock(
                f"Response ({n_tokens}, stopped by {prediction.stop_reason}):",
                shortened(prediction.generated_response, _MAX_RESPONSE),
            ),
        ),
    )
