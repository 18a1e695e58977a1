"""Eval sets, answer extraction, judges, statistics and comparison; nothing here needs JAX."""

from __future__ import annotations

from tunixrt.eval.judge.judges import Judgement, judge_answer

__all__ = ["Judgement", "judge_answer"]
