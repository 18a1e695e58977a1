"""Judges: is a response right, and why; a package that depends on answers only, not on stores."""
