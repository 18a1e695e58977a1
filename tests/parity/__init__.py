"""Exports in Hugging Face TRL: `make parity` runs these in an environment of their own."""
