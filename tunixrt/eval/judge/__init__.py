"""Judges: is a response right, and why; a package that knows answers and nothing of stores."""
