"""The part of a report that identifies what was run: everything that determines its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.report.blocks import Block, CodeSpan, Heading, Paragraph, Plain, Table

if TYPE_CHECKING:
    from tunixrt.report.blocks import Inline, Inlines
    from tunixrt.report.sections.view import ReportView, RunView
    from tunixrt.runs.manifests import OverlongPrompts


def identity_blocks(view: ReportView, *, heading: str = "What was run") -> list[Block]:
    """One row per fact, before and after side by side; facts that differ are marked."""
    before, after = _facts(view.before), _facts(view.after)
    rows: list[tuple[Inlines, ...]] = []
    for name in [*before, *(name for name in after if name not in before)]:
        a, b = before.get(name, ""), after.get(name, "")
        rows.append(
            ((Plain(name),), (_value(a),), (_value(b),), (Plain("same" if a == b else "differs"),))
        )
    return [
        Heading(2, (Plain(heading),)),
        Paragraph(
            (
                Plain(
                    "These facts determine every byte of the two runs. A digest is the SHA-256 of "
                    "a file's bytes, or of the canonical JSON (RFC 8785) of a value."
                ),
            )
        ),
        Table(
            label="Identity of both runs",
            head=("Fact", "Before", "After", "Compared"),
            rows=tuple(rows),
        ),
    ]


def _value(text: str) -> Inline:
    return CodeSpan(text) if text else Plain("none")


def _overlong(found: OverlongPrompts) -> str:
    return f"{found.treatment}: {len(found.n_tokens):,}"


def _facts(run: RunView) -> dict[str, str]:
    evaluation = run.evaluation
    template = evaluation.template
    facts = {
        "Evaluation run": run.run_id,
        "Model": run.model,
        "Weights": run.weights,
        "Eval set": run.evalset_name,
        "Digest of the eval set": evaluation.evalset,
        "Judge": f"{evaluation.judge.name} {evaluation.judge.version}",
        "Template": f"{template.format} {template.version}",
        "System instruction": template.system_instruction or "",
        "Limit of new tokens": str(evaluation.max_new_tokens),
        "Generation": str(evaluation.draws or "greedy"),
        **({"Overlong prompts": _overlong(evaluation.overlong)} if evaluation.overlong else {}),
        **({"Seed of the draws": str(evaluation.draws.seed)} if evaluation.draws else {}),
        "Numeric mode": run.numeric_mode,
        "Numeric class": run.numeric_class or "",
        "Digest of the numeric sources": run.sources,
        **{f"Version of {name}": version for name, version in sorted(run.versions.items())},
    }
    if run.training is not None:
        training = run.training
        facts |= {
            "Training run": training.run_id,
            "Dataset": training.dataset_key,
            "Digest of the dataset": training.dataset,
            "Text trained on": training.text,
            "Base": training.base or "",
            **{f"Seed {name}": str(seed) for name, seed in sorted(training.seeds.items())},
        }
    return facts
