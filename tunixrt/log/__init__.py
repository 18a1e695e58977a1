"""The append-only event log as plain files: canonical JSON, digests, segments, snapshots.

This is the lowest layer: it knows files and digests, not what an event means. The format is
specified in docs/format.md, with golden bytes in tests/log.
"""
