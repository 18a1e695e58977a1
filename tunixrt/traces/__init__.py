"""Reasoning traces: schema, importers, facts, state, and the index for lookups."""
