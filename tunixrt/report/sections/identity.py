"""The part of a report that identifies what was run: everything that determines its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.report.blocks import Block, CodeSpan, Heading, Paragraph, Table

if TYPE_CHECKING:
    from tunixrt.report.blocks import Inline, Inlines
    from tunixrt.report.shown import Pair, ShownRun
    from tunixrt.runs.manifests import OverlongPrompts


def identity_blocks(pair: Pair, *, heading: str = "What was run") -> list[Block]:
    """One row per fact, before and after side by side; facts that differ are marked."""
    before, after = _facts(pair.before), _facts(pair.after)
    rows: list[tuple[Inlines, ...]] = []
    for name in [*before, *(name for name in after if name not in before)]:
        a, b = before.get(name, ""), after.get(name, "")
        rows.append((name, (_value(a),), (_value(b),), ("same" if a == b else "differs")))
    return [
        Heading(2, heading),
        Paragraph(
            "These facts determine every byte of the two runs. A digest is the SHA-256 of "
            "a file's bytes, or of the canonical JSON (RFC 8785) of a value."
        ),
        Table(
            label="Identity of both runs",
            head=("Fact", "Before", "After", "Compared"),
            rows=tuple(rows),
        ),
    ]


def _value(text: str) -> Inline:
    return CodeSpan(text) if text else "none"


def _overlong(found: OverlongPrompts) -> str:
    return f"{found.treatment}: {len(found.n_tokens):,}"


def _facts(run: ShownRun) -> dict[str, str]:
    responses, judge = run.manifest.responses, run.manifest.identity.judge
    template, generation = responses.template, responses.generation
    overlong, draws = run.manifest.results.overlong, generation.draws
    facts = {
        "Evaluation run": run.run_id,
        "Model": run.model,
        "Weights": run.manifest.weights,
        "Eval set": run.evalset,
        "Digest of the eval set": responses.evalset,
        "Judge": f"{judge}",
        "Template": f"{template.format} {template.version}",
        "System instruction": template.system_instruction or "",
        "Limit of new tokens": str(generation.max_new_tokens),
        "Generation": str(draws or "greedy"),
        **({"Overlong prompts": _overlong(overlong)} if overlong else {}),
        **({"Seed of the draws": str(draws.seed)} if draws else {}),
        "Numeric mode": responses.numeric_mode,
        "Numeric class": responses.numeric_class or "",
        "Digest of the numeric sources": responses.code.sources,
        **{f"Version of {name}": v for name, v in sorted(responses.code.packages.items())},
    }
    if (training := run.training) is not None:
        facts |= {
            "Training run": training.run_id,
            "Dataset": training.dataset,
            "Digest of the dataset": training.manifest.identity.dataset,
            "Text trained on": training.manifest.identity.text,
            "Base": training.base_in_words or "",
            **{f"Seed {name}": seed for name, seed in sorted(training.seeds.items())},
        }
    return facts
