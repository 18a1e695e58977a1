"""The model: tokens, training, generation, weights. The only layer that knows jax.

Call ``tunixrt.ml.environment.prepare`` before importing a module of this layer that imports jax.
"""
