"""Files that people have, read as traces: one table, format -> reader."""
