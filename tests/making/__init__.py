"""Traces, stores, datasets and runs made for tests."""
