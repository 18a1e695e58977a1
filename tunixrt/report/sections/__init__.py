"""The sections of a report: results, samples, training, checks, identity."""
