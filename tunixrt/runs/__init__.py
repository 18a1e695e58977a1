"""Runs as data, without jax: configuration, manifests, ids, verdicts."""
