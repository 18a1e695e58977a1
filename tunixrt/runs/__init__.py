"""What can be said of runs without running them: configuration, manifests, ids, verdicts."""
