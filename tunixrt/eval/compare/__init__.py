"""Comparing evaluations: metrics, intervals, paired tests, seeds."""
