"""Measurements against peers; they run by hand (`make bench`) and fail nothing."""
