"""Traces, the datasets built from them, and the text that training reads."""
