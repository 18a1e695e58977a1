"""Expressions that select traces: the tree, its one canonical text, the parser, the evaluator.

``docs/selection.md`` has the grammar and the table of fields. A recipe stores the canonical text,
so two spellings of one expression are one recipe.
"""
