"""The model: tokens, training, generation, weights. The only layer that imports jax.

Its modules get jax through `tunixrt.ml.xla`, which sets the flags of XLA first. Importing this
package imports no jax.
"""
