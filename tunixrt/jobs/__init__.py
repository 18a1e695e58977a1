"""Whole jobs that join the layers: train, evaluate, verify, reproduce, write a report.

A job imports ``tunixrt.ml`` (and with it jax) inside the function that needs it.
"""
