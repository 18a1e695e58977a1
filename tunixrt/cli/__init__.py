"""The command line: one file a noun; only it reads environment, clock and terminal."""
