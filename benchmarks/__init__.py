"""Scripts that run tunixrt and a peer in turn on the same work, and print the ratio."""
