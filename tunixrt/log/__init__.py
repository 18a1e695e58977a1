"""The append-only event log as plain files: canonical JSON, digests, segments, snapshots.

This is the lowest layer: it knows files and digests, not what an event means. The format that it
keeps is written down in docs/format.md, with golden bytes in tests/log.
"""
